"""A small world for tests: three tastes, their readers, and a service over real adapters."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from app.adapters.system.clock import SystemClock
from app.bootstrap.adapters import Adapters
from app.bootstrap.database import prepare_database
from app.bootstrap.services import container_of
from app.container import Container
from app.domain.errors import DependencyUnavailableError
from app.domain.models import Consent, Interaction, Item, ItemId, Kind, Pseudonym, RequestId
from app.ports.explainer import ExplainTask, Reason
from app.ports.ranker import LlmRanking, RankerHealth, RankingForm, RankingTask
from app.settings import Settings
from app.settings_chroma import ChromaSettings
from app.settings_groups import NeighboursSettings

START = datetime(2025, 1, 1, tzinfo=UTC)
TASTES = {
    "sea": ("Whale voyage", "Sailors and storms on the ocean", "adventure at sea"),
    "crime": ("Murder clue", "A detective finds the murderer", "detective mystery"),
    "stars": ("Rocket planet", "Travellers between distant planets", "science fiction"),
}


def catalogue() -> list[Item]:
    """Sixty books, twenty a taste; the first three of each are most read."""
    return [
        Item(
            item_id=ItemId(f"{taste}-{number:02d}"),
            title=f"{title} {number}",
            description=description,
            attributes={"subjects": [subject], "year": 1900 + number},
        )
        for taste, (title, description, subject) in TASTES.items()
        for number in range(20)
    ]


@dataclass
class StubRanker:
    """An LLM with a taste that has nothing to do with the user's, or that fails as told.

    Args:
        error: raised instead of an answer.
        before_answer: called while the "LLM" is at work.
    """

    error: Exception | None = None
    ranks_queries: bool = True
    before_answer: list[object] = field(default_factory=list)
    tasks: list[RankingTask] = field(default_factory=list)

    def rank(self, task: RankingTask) -> LlmRanking:
        self.tasks.append(task)
        while self.before_answer:
            action = self.before_answer.pop()
            assert callable(action)
            action()
        if self.error is not None:
            raise self.error
        scores = {
            one.item_id: -float(crc32(one.item_id.encode())) / 2**32 for one in task.candidates
        }
        form = RankingForm.LABEL if task.query is None else RankingForm.LIKELIHOOD
        return LlmRanking(scores, form, "en-0", prompt_tokens=100, completion_tokens=1)

    def health(self) -> RankerHealth:
        return RankerHealth("ready", {"closed": 1}, ranks_queries=self.ranks_queries)


@dataclass
class StubExplainer:
    """An LLM that has a reason for every item but the first, or that fails as told."""

    error: Exception | None = None
    tasks: list[ExplainTask] = field(default_factory=list)

    def explain(self, task: ExplainTask) -> dict[ItemId, Reason]:
        self.tasks.append(task)
        if self.error is not None:
            raise self.error
        return {item.item_id: Reason(f"Like {item.title}", [0]) for item in task.items[1:]}


class MovedClock(SystemClock):
    """The machine's clock, set ahead by as much as a test says."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


class StandIn:
    """A proxy before a store: a test answers some calls itself, all others go to the store."""

    def __init__(self, real: object) -> None:
        self.real = real
        self.answers: dict[str, Callable[..., object]] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the store has)
        return self.answers.get(name) or getattr(self.real, name)


@dataclass
class World:
    """A running service without HTTP, threads or queue: tests call its steps themselves."""

    adapters: Adapters
    container: Container
    clock: MovedClock
    stand_ins: dict[str, StandIn]

    def user(self, name: str) -> Pseudonym:
        return self.adapters.identity.pseudonym(name)

    @contextmanager
    def answering(
        self, store: str, call: str, answer: Callable[..., object] | None = None
    ) -> Iterator[None]:
        """Let ``answer`` answer a call of a store until the block ends; None: it is not there."""
        stand_in = self.stand_ins[store]
        stand_in.answers[call] = answer or unavailable
        try:
            yield
        finally:
            del stand_in.answers[call]

    def read(
        self,
        name: str,
        items: Sequence[str],
        *,
        at: datetime = START,
        kind: Kind = Kind.RATING,
        consent: Consent | None = None,
        text: str | None = None,
    ) -> tuple[int, int, int]:
        """Let a user read items, one a day, and say ``text`` of each if anything.

        Returns:
            Accepted, duplicate, refused.
        """
        result = self.container.ingest.record(self._read(name, items, at, kind, consent, text))
        return result.accepted, result.duplicate, result.refused

    def _read(
        self,
        name: str,
        items: Sequence[str],
        at: datetime = START,
        kind: Kind = Kind.RATING,
        consent: Consent | None = None,
        text: str | None = None,
    ) -> list[Interaction]:
        pseudonym = self.user(name)
        identity = self.adapters.identity
        return [
            Interaction(
                pseudonym=pseudonym,
                event_key=identity.event_key(pseudonym, f"{name}-{item}-{at}"),
                kind=kind,
                occurred_at=at + timedelta(days=day),
                item_id=ItemId(item),
                value=5.0 if kind is Kind.RATING else None,
                text=text,
                renewed_consent=consent,
            )
            for day, item in enumerate(items)
        ]

    def rate(self, name: str, values: Mapping[str, float], *, day: int = 0) -> None:
        """Let a user rate items at one moment."""
        identity, pseudonym = self.adapters.identity, self.user(name)
        self.container.ingest.record(
            [
                Interaction(
                    pseudonym=pseudonym,
                    event_key=identity.event_key(pseudonym, f"rating-{item}-{day}"),
                    kind=Kind.RATING,
                    occurred_at=START + timedelta(days=day),
                    item_id=ItemId(item),
                    value=value,
                )
                for item, value in values.items()
            ]
        )

    def note(self, name: str, text: str, *, event_id: str = "note") -> None:
        """Let a user say something."""
        pseudonym = self.user(name)
        event_key = self.adapters.identity.event_key(pseudonym, event_id)
        self.container.ingest.record(
            [Interaction(pseudonym, event_key, Kind.NOTE, START, text=text)]
        )

    def settle(self) -> None:
        """Do what the background threads do, once they have rested from the last time."""
        self.container.feed.acknowledge()
        # How long they rest goes by how long a fit took, so a loaded machine leaves it for later.
        self.adapters.neighbours.refresh()

    def erase(self, request_id: RequestId) -> bool:
        """Do what a worker does."""
        self.settle()
        return request_id in self.container.erase.execute(request_id)

    def populate(self, *, text: str | None = None) -> None:
        """Fill the catalogue, and let thirty readers read ten books of one taste."""
        self.container.catalogue.upsert(catalogue())
        self.container.ingest.record(
            [read for number in range(30) for read in self._of_reader(number, text)]
        )
        self.container.feed.start()

    def _of_reader(self, number: int, text: str | None) -> list[Interaction]:
        taste = list(TASTES)[number % 3]
        books = [f"{taste}-{(number + step) % 20:02d}" for step in range(8)]
        return self._read(f"reader-{number}", [*books, f"{taste}-18", f"{taste}-19"], text=text)


def settings_for(folder: Path, **changes: object) -> Settings:
    """Return embedded settings with few shards, whatever the environment says."""
    defaults: dict[str, object] = {
        "data_dir": folder,
        "chroma": ChromaSettings(n_shards=2),
        "neighbours": NeighboursSettings(ease_lambda=5.0, fold_s=0),
    }
    return Settings.model_validate(defaults | changes)


@cache
def _empty_database() -> Path:
    """Return a database at the newest revision: to copy it takes a tenth of making one."""
    folder = Path(tempfile.mkdtemp(prefix="lethe-empty-"))
    atexit.register(shutil.rmtree, folder)
    prepare_database(settings_for(folder))
    return folder / "lethe.db"


@contextmanager
def open_world(
    folder: Path,
    *,
    ranker: StubRanker | None = None,
    explainer: StubExplainer | None = None,
    **changes: object,
) -> Iterator[World]:
    """Open a world in ``folder``; with a ``ranker`` the service has an LLM."""
    settings = settings_for(folder, **changes)
    if settings.database.url is None and not (folder / "lethe.db").exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(_empty_database(), folder / "lethe.db")  # and not who may read it
    prepare_database(settings)
    with ExitStack() as closing:
        adapters = Adapters(settings, closing)
        clock = adapters.clock = MovedClock()
        stores = ("memory", "catalogue_index", "probe", "vault")
        stand_ins = {name: StandIn(getattr(adapters, name)) for name in stores}
        for name, stand_in in stand_ins.items():
            setattr(adapters, name, stand_in)
        if ranker is not None:
            adapters.ranker = ranker
        if explainer is not None:
            adapters.explainer = explainer
        world = World(adapters, container_of(adapters), clock, stand_ins)
        world.container.restore.check()
        yield world


def unavailable(*_: object, **__: object) -> None:
    """Raise the error of a dependency that does not answer."""
    raise DependencyUnavailableError("not there")
