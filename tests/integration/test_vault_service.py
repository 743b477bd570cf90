"""The whole service and its vault: erasures, old backups, a vault that is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.vault.sql import SqlKeyVault
from app.bootstrap.adapters import Adapters
from app.bootstrap.database import prepare_database
from app.bootstrap.services import container_of
from app.cli.keys import rewrap
from app.container import Container
from app.domain.erasure.request import ErasureRequest, RequestState, Step
from app.domain.erasure.scope import AllScope, ItemsScope, Scope, TopicScope
from app.domain.errors import (
    DependencyUnavailableError,
    IntegrityError,
    KeyMissingError,
    KeyUnavailableError,
)
from app.domain.models import Consent, Item, ItemId, Kind, Pseudonym, ReportedInteraction, RequestId
from app.services.erasure.requests import ForgetCommand
from app.services.ingestion.outcomes import IngestResult
from app.services.recommendation.answer import Recommendation
from app.services.recommendation.query import RecommendQuery
from app.settings import load_settings

VIEWED: Final = "seen"
WORDS: Final = "canary-words: nobody knows that I read poems"
WHEN: Final = datetime(2026, 1, 1, tzinfo=UTC)
N_ITEMS: Final = 12
TOPICS: Final = ("whales", "tea", "ships")


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, all in this process."""

    adapters: Adapters
    container: Container

    @property
    def vault(self) -> SqlKeyVault:
        return self.adapters.vault

    def user(self, name: str) -> Pseudonym:
        return self.container.identity.pseudonym(name)

    def tell(self, name: str, *, items: range, renewed_consent: bool = False) -> IngestResult:
        """Ingest a view of each item and a note."""
        at = datetime.now(UTC) if renewed_consent else WHEN
        consent = Consent(at, "account") if renewed_consent else None
        told = [
            ReportedInteraction(
                f"{at}{number}",
                name,
                Kind.VIEW,
                at,
                ItemId(str(number)),
                text=VIEWED,
                renewed_consent=consent,
            )
            for number in items
        ]
        told.append(ReportedInteraction(f"{at}note", name, Kind.NOTE, at, text=WORDS))
        return self.container.ingest.record(
            [self.container.identity.interaction(one) for one in told]
        )

    def recommend(self, name: str) -> Recommendation:
        return self.container.recommend.recommend(RecommendQuery(pseudonym=self.user(name), n=3))

    def forget(self, name: str, scope: Scope) -> ErasureRequest:
        accepted = self.container.forget.accept(ForgetCommand(self.user(name), scope))
        return self.work_on(accepted.request.request_id)

    def work_on(self, request_id: RequestId, *, attempts: int = 3) -> ErasureRequest:
        """Let a worker have it, again where the probe was not satisfied, as the sweeper does."""
        for _ in range(attempts):
            self.container.feed.acknowledge()  # as the follower does in a process that serves
            if self.container.erase.execute(request_id):
                break
            self.adapters.clock.sleep(1.1)  # the longest back-off of three attempts
        return self.container.forget.status(request_id).request

    def texts(self, name: str) -> list[str]:
        """Return what somebody said, but of what they viewed."""
        with self.adapters.uows.read() as uow:
            history = uow.interactions.history(self.user(name))
        return [entry.text for entry in history if entry.text not in {None, VIEWED}]

    def n_vectors(self, name: str) -> int:
        with self.adapters.uows.read() as uow:
            ids = uow.interactions.record_ids_of(self.user(name))
        return len(self.adapters.memory.vectors(self.user(name), ids))


@contextmanager
def serving(folder: Path, *, checks_restores: bool = True) -> Iterator[Service]:
    settings = load_settings(data_dir=folder)
    prepare_database(settings)
    with ExitStack() as stack:
        adapters = Adapters(settings, stack)
        container = container_of(adapters)
        container.feed.start()
        stack.callback(container.feed.stop)
        if checks_restores:  # as every process does at its start
            container.restore.check()
        yield Service(adapters, container)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with anna, bert, and carl, who does not want whales."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    with serving(folder) as service:
        items = [
            Item(ItemId(str(number)), f"Book {number} about {TOPICS[number % 3]}")
            for number in range(N_ITEMS)
        ]
        service.container.catalogue.upsert(items)
        service.tell("anna", items=range(6))
        service.tell("bert", items=range(3, 9))
        service.tell("carl", items=range(2, 8))
        assert service.forget("carl", TopicScope("whales")).state is RequestState.COMPLETED
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled, tmp_path / "data")
    return tmp_path / "data"


def files_with(folder: Path, needle: bytes) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if needle in path.read_bytes()]


def test_no_word_lies_in_any_file(folder: Path) -> None:
    with serving(folder) as service:
        assert service.texts("anna") == [WORDS]
        assert service.n_vectors("anna") == 7
        with service.adapters.uows.read() as uow:
            (topic,) = uow.suppressions.of([service.user("carl")])[service.user("carl")]
            assert topic.text == "whales"

    assert files_with(folder, b"canary-words") == []
    assert files_with(folder, b"Viewed: Book") == []
    assert "chroma.sqlite3" in files_with(folder, b"1.")  # the search finds what is there


def test_an_erasure_of_all_destroys_the_key_and_only_that(folder: Path) -> None:
    with serving(folder) as service:
        anna, wrapped = service.user("anna"), service.vault.wrapped(service.user("anna"))
        before = service.vault.count()
        assert wrapped is not None

        done = service.forget("anna", AllScope())

        assert done.state is RequestState.COMPLETED
        assert service.vault.count(anna) == 0
        assert service.vault.count() == before - 1
        assert service.texts("bert") == [WORDS]
        steps = service.container.forget.status(done.request_id).steps
        assert {one.step: one.touched for one in steps}[Step.KEYS] == 1
    assert files_with(folder, wrapped) == []
    assert files_with(folder, anna.encode()) == []


def test_an_erasure_of_a_part_keeps_the_key(folder: Path) -> None:
    with serving(folder) as service:
        before = service.vault.wrapped(service.user("anna"))

        done = service.forget("anna", ItemsScope((ItemId("1"),)))

        assert done.state is RequestState.COMPLETED
        steps = service.container.forget.status(done.request_id).steps
        assert {one.step: one.touched for one in steps}[Step.KEYS] == 0
        assert service.vault.wrapped(service.user("anna")) == before
        assert service.texts("anna") == [WORDS]
        assert service.n_vectors("anna") == 6


def test_who_comes_back_gets_another_key(folder: Path) -> None:
    with serving(folder) as service:
        old = service.vault.get([service.user("anna")])
        service.forget("anna", AllScope())
        assert service.tell("anna", items=range(3)).refused == 4
        assert service.vault.count(service.user("anna")) == 0  # refused, so none was made

        back = service.tell("anna", items=range(3), renewed_consent=True)

        assert back.accepted == 4
        assert service.texts("anna") == [WORDS]
        assert service.n_vectors("anna") == 4
        assert service.vault.get([service.user("anna")]) != old


def restored(folder: Path, backup: Path, *, keep: tuple[str, ...]) -> None:
    """Put a backup in the place of the data, but for files that it does not have."""
    for path in folder.iterdir():
        if path.name not in keep:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(backup, folder, dirs_exist_ok=True)


def test_a_backup_from_before_an_erasure_is_noise(folder: Path, tmp_path: Path) -> None:
    kept = ("vault.db", "kek")
    shutil.copytree(folder, tmp_path / "backup", ignore=shutil.ignore_patterns(*kept))
    with serving(folder) as service:
        plain = service.adapters.embedder.embed([f"Book {n} about tea" for n in range(N_ITEMS)])
        assert service.forget("anna", AllScope()).state is RequestState.COMPLETED

    restored(folder, tmp_path / "backup", keep=kept)

    assert files_with(folder, b"canary-words") == []
    with serving(folder, checks_restores=False) as service:
        anna = service.user("anna")
        with service.adapters.uows.read() as uow:
            ids = uow.interactions.record_ids_of(anna)
        assert len(ids) == 7  # the rows came back: what is in them did not
        for read in (service.texts, service.n_vectors):
            with pytest.raises(KeyMissingError):
                read("anna")
        answer = service.recommend("anna")
        assert (answer.is_personalised, answer.provenance.is_degraded) == (False, True)
        assert service.texts("bert") == [WORDS]
        assert service.recommend("bert").is_personalised
        service.container.restore.check()
        assert service.forget("anna", AllScope()).state is RequestState.COMPLETED
        with service.adapters.uows.read() as uow:
            assert uow.interactions.record_ids_of(anna) == []
    with ChromaDatabase.embedded(tmp_path / "backup" / "chroma") as database:
        lying = np.concatenate(
            [
                np.asarray(found["embeddings"], dtype=np.float32)
                for collection in database.collections()
                if (found := collection.get(where={"p": anna}, include=["embeddings"]))["ids"]
            ]
        )
    assert lying.shape == (7, 256)
    assert np.abs(lying @ plain.T).max() < 0.4  # in clear the same titles are above 0.9


def test_a_backup_that_holds_the_vault_brings_everything_back(folder: Path, tmp_path: Path) -> None:
    """The limit of it: this is why the vault stays out of backups, or in ones of a few days."""
    shutil.copytree(folder, tmp_path / "backup")
    with serving(folder) as service:
        assert service.forget("anna", AllScope()).state is RequestState.COMPLETED

    restored(folder, tmp_path / "backup", keep=())

    with serving(folder) as service:
        assert service.texts("anna") == [WORDS]
        assert service.n_vectors("anna") == 7


def test_a_backup_of_all_but_the_key_encryption_key_is_noise(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "stolen", ignore=shutil.ignore_patterns("kek"))

    with (
        pytest.raises(IntegrityError, match="another key-encryption key"),
        serving(tmp_path / "stolen"),
    ):
        pass

    assert files_with(tmp_path / "stolen", b"canary-words") == []


def test_the_service_does_not_start_on_data_whose_keys_are_lost(folder: Path) -> None:
    (folder / "vault.db").unlink()

    with pytest.raises(IntegrityError, match="restore the key vault"), serving(folder):
        pass


def test_the_key_encryption_key_is_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = (folder / "kek").read_text().strip(), "0a" * 32
    (folder / "kek").unlink()
    monkeypatch.setenv("LETHE_VAULT__KEK", f"{new},{old}")

    rewrap(data_dir=folder)

    done, _, n_keys = capsys.readouterr().out.split()[:3]
    assert int(done) == int(n_keys) > 3  # the canary of the probe has one, too
    monkeypatch.setenv("LETHE_VAULT__KEK", new)
    with serving(folder) as service:
        assert service.texts("anna") == [WORDS]
        assert service.n_vectors("anna") == 7


@dataclass(frozen=True, slots=True)
class Lost:
    """A service whose vault was taken away, and how to put it back."""

    service: Service
    put_back: Callable[[], object]


@pytest.fixture
def lost(folder: Path, tmp_path: Path) -> Iterator[Lost]:
    with serving(folder) as service:
        assert service.recommend("bert").is_personalised
        away = (folder / "vault.db").rename(tmp_path / "away.db")
        yield Lost(service, lambda: away.rename(folder / "vault.db"))


def test_recommendations_degrade_without_the_vault(lost: Lost) -> None:
    answer = lost.service.recommend("bert")
    assert (len(answer.items), answer.is_personalised, answer.provenance.is_degraded) == (
        3,
        False,
        True,
    )
    with pytest.raises(KeyUnavailableError):
        lost.service.recommend("carl")  # who must not be shown whales
    assert not lost.service.recommend("a stranger").provenance.is_degraded

    lost.put_back()

    assert lost.service.recommend("bert").is_personalised
    assert lost.service.recommend("carl").is_personalised


def test_nothing_is_taken_in_without_the_vault(lost: Lost) -> None:
    with pytest.raises(DependencyUnavailableError):
        lost.service.tell("dora", items=range(3))
    with lost.service.adapters.uows.read() as uow:
        assert uow.subjects.get(lost.service.user("dora")) is None

    lost.put_back()

    assert lost.service.tell("dora", items=range(3)).accepted == 4


def test_an_erasure_waits_for_the_vault(lost: Lost) -> None:
    bert = lost.service.user("bert")
    accepted = lost.service.container.forget.accept(ForgetCommand(bert, AllScope()))
    waiting = lost.service.work_on(accepted.request.request_id, attempts=1)

    assert waiting.state is RequestState.SUPPRESSED  # noted in the vault before anything goes
    assert waiting.error_code == "key_unavailable"
    assert not lost.service.recommend("bert").is_personalised

    lost.put_back()
    done = lost.service.work_on(waiting.request_id)
    assert done.state is RequestState.COMPLETED
    assert lost.service.vault.count(bert) == 0


def test_a_topic_named_while_all_is_erased_leaves_no_key(folder: Path) -> None:
    with serving(folder) as service:
        forget, anna = service.container.forget, service.user("anna")
        request_id = forget.accept(ForgetCommand(anna, AllScope())).request.request_id
        with ThreadPoolExecutor(1) as worker:
            execution = worker.submit(service.container.erase.execute, request_id)
            while service.vault.count(anna):
                service.adapters.clock.sleep(0.02)
            # The worker waits for this process to acknowledge, its next step is the rows.
            topic = forget.accept(ForgetCommand(anna, TopicScope("tea"))).request
            assert service.vault.count(anna) == 1
            service.container.feed.acknowledge()
            execution.result()

        assert service.work_on(topic.request_id).state is RequestState.COMPLETED
        assert service.work_on(request_id).state is RequestState.COMPLETED
        assert service.vault.count(anna) == 0
        with service.adapters.uows.read() as uow:
            assert uow.suppressions.of([anna]) == {}
