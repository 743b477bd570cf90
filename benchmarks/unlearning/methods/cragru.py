"""CRAGRU: a base model of everybody's data, and a re-ranker that is shown the allowed part.

Source: Zhang H. et al., "CRAGRU", ICDM 2025 (arXiv 2511.05494). A base model that is never
unlearned proposes 50 candidates; an LLM orders them after what is left of the user's record,
chosen by a strategy. A request removes lines from the record, nothing else: access control.

Rows:

* ``cragru_llm``: the paper's, through the service's own vLLM port, for a server at
  ``LETHE_BENCH_LLM_URL`` that serves ``LETHE_BENCH_LLM_MODEL``, or the small real model in this
  process (``local``); not listed without it. The record is the training part alone, so no
  candidate can occur in it. ``cragru_llm_titles``: the same by likelihood.
* ``cragru_copy``: the control. Candidates that occur in the record go first, the rest keeps the
  base order: no intelligence. Without a leak that is the base order.
* ``..._leaky``: as released. There the record comes from a split of its own of all the data, so
  that some 80 % of a user's test items are in it, and candidates come from another; whatever
  occurs in both is a test item. The gap to the row without a leak is what the leak was worth.

Decided where the paper fails its own aim: candidates are those of the fit, with what the user
had then left out; served anew, forgotten films would be on top. A user with no pair left gets
the popular order here as everywhere; the paper goes on with candidates of the base model, and
whoever has the server's memory still can (``exposed``). Clusters are of genres, not drawn at
random among an item's genres; attention has genre vectors, not untrained ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import numpy as np

from app.adapters.llm.client import LlmChannel, LlmServer
from app.adapters.llm.likelihood import LikelihoodRanker
from app.adapters.llm.ranker import Form
from app.adapters.llm.single_pass import SinglePassRanker
from app.bootstrap.llm import prompting_of
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.memory_selection import Choice, Strategy, select_memories
from app.domain.recommendation.prompt import ShownMemory
from app.ports.ranker import RankingForm, RankingTask
from app.settings_llm import LlmSettings
from benchmarks.data import Dataset, Ints, split
from benchmarks.unlearning.backbones import LEARNED, backbone
from benchmarks.unlearning.protocol import PAIR_BYTES, Floats, Interactions, Method, Setup
from benchmarks.unlearning.shards import with_popular
from tests.servers.vllm import REAL, made_model

_URL = "LETHE_BENCH_LLM_URL"
_MODEL = "LETHE_BENCH_LLM_MODEL"
CANDIDATES = 50
RANKED = 16
"""The first candidates, whose bare titles the LLM orders; the paper: all 50, with a GPU."""
_SHOWN = 10
"""Lines of the record in a prompt; the paper: 100."""
_ONE_IN = 4
"""So many users is one answered by an LLM, and rated; the others get the base model's order."""
_OTHER_SPLIT = 31
_TIMEOUT_S = 3600.0

Reorder = Callable[[Ints, Ints], Ints]
"""From a user's record and candidates, best first, to the order served."""


class Cragru:
    """A base model and a re-ranker.

    Args:
        setup: names the base model.
        name: of the row.
        reorder: the re-ranker.
        is_leaky: take records from a split of their own.
        one_in: so many users is one reordered, and rated.
    """

    def __init__(
        self, setup: Setup, *, name: str, reorder: Reorder, is_leaky: bool, one_in: int = 1
    ) -> None:
        self.name, self.one_in = name, one_in
        self._setup = setup
        self._reorder = reorder
        self._is_leaky = is_leaky
        self._base = backbone(setup)

    def fit(self, train: Interactions) -> None:
        """Train the base model, and keep everybody's candidates."""
        self._left = train
        self._base.fit(train, valid=self._setup.valid_of(train))
        self._candidates = _best(self._base.exposed(np.arange(train.n_users)), seen=train)
        self._records = _leaky_records(self._setup.dataset, train) if self._is_leaky else train
        self._served: dict[int, Ints] = {}

    def forget(self, gone: Interactions) -> None:
        """Remove lines from records."""
        self._left = self._left.without(gone)
        kept = ~np.isin(self._records.keys, gone.keys)
        kept &= self._left.lengths[self._records.users] > 0
        self._records = self._records.where(kept)
        for user in np.unique(gone.users).tolist():
            self._served.pop(user, None)

    def scores(self, users: Ints) -> Floats:
        """Return 50 to 1 for the candidates in the order served, and -inf for the rest."""
        scores = np.full((len(users), self._left.n_items), -np.inf, dtype=np.float32)
        for row, user in enumerate(users.tolist()):
            if self._left.lengths[user]:
                order = self._order(user)
                scores[row, order] = np.arange(len(order), 0, -1)
        return with_popular(scores, users=users, left=self._left)

    def exposed(self, users: Ints) -> Floats:
        """Return the base model's."""
        return self._base.exposed(users)

    def state_bytes(self) -> int:
        """Return the base model, candidates and records; not the LLM, which nobody tunes."""
        records = PAIR_BYTES * (len(self._left) + self._is_leaky * len(self._records))
        return self._base.state_bytes() + sum(row.nbytes for row in self._candidates) + records

    def personal_data_in_weights(self) -> str:
        """Say so."""
        return "yes: the base model is never unlearned"

    def _order(self, user: int) -> Ints:
        if user not in self._served:
            record, candidates = self._records.histories[user], self._candidates[user]
            is_asked = user % self.one_in == 0
            self._served[user] = self._reorder(record, candidates) if is_asked else candidates
        return self._served[user]


def _best(scores: Floats, *, seen: Interactions) -> list[Ints]:
    """Return the best items of each user that the user has not, best first."""
    open_scores = scores.copy()
    open_scores[seen.users, seen.items] = -np.inf
    order = np.argsort(-open_scores, axis=1, kind="stable")[:, :CANDIDATES]
    return [row[: seen.n_items - length] for row, length in zip(order, seen.lengths, strict=True)]


def _leaky_records(dataset: Dataset, train: Interactions) -> Interactions:
    """Return records as CRAGRU's code makes them, from all data by a split of its own.

    The one place where a system reads more than the training part, on purpose.
    """
    parts = split(dataset.histories, seed=_OTHER_SPLIT)
    none = np.empty(0, dtype=np.int64)
    rows = [*parts.train, *([none] * (train.n_users - len(parts.train)))]
    return Interactions.of(rows, n_items=train.n_items)


def copied(record: Ints, candidates: Ints) -> Ints:
    """Return candidates that are in the record first, else in their order."""
    return candidates[np.argsort(~np.isin(candidates, record), kind="stable")]


class LlmOrder:
    """The LLM's order.

    Args:
        dataset: titles and genres.
        ranker: warmed up.
        strategy: which lines of a long record are shown.
        seed: of the order in which candidates are shown.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        ranker: Form,
        strategy: Strategy,
        seed: int,
        form: RankingForm | None = None,
    ) -> None:
        if dataset.titles is None or dataset.traits is None:
            raise ValueError("an LLM needs titles and genres, which this data set has not")
        self._titles = dataset.titles
        norms = np.linalg.norm(dataset.traits, axis=1, keepdims=True)
        self._vectors = (dataset.traits / np.maximum(norms, 1)).astype(np.float32)
        self._clusters = dataset.traits.argmax(axis=1)
        self._ranker, self._strategy, self._seed, self._form = ranker, strategy, seed, form

    def __deepcopy__(self, memo: dict[int, object]) -> LlmOrder:
        """Return itself: it remembers nothing, and a connection cannot be copied."""
        return self

    def __call__(self, record: Ints, candidates: Ints) -> Ints:
        """Return the candidates, the LLM's best of the first ones first."""
        candidates, rest = candidates[:RANKED], candidates[RANKED:]
        choice = Choice(
            vectors=self._vectors[record],
            strength=np.ones(len(record), dtype=np.float32),
            clusters=self._clusters[record],
            costs=[1] * len(record),
            budget=_SHOWN,
        )
        chosen = select_memories(self._strategy, choice, candidates=self._vectors[candidates])
        answer = self._ranker.rank(
            RankingTask(
                memories=[ShownMemory(Kind.LIKE, self._item(item)) for item in record[chosen]],
                candidates=[self._item(item) for item in candidates.tolist()],
                cache_salt=sha256(record.tobytes()).hexdigest(),
                seed=self._seed,
                timeout_s=_TIMEOUT_S,
                form=self._form,
            )
        )
        found = [answer.log_probabilities.get(ItemId(str(item)), -np.inf) for item in candidates]
        return np.concatenate([candidates[np.argsort(-np.array(found), kind="stable")], rest])

    def _item(self, item: int) -> Item:
        return Item(ItemId(str(item)), self._titles[item])


def _server() -> LlmServer:
    url, model = os.environ[_URL], os.environ.get(_MODEL, "smollm2")
    if url != "local":
        return LlmServer(url, model=model, channel=LlmChannel())
    local = import_module("benchmarks.llm.local")  # needs torch
    cache = Path(".bench-cache") / "llm"
    server: LlmServer = local.local_server(made_model(cache, REAL), answers=cache / "answers")
    return server


def _copying(setup: Setup, *, name: str, is_leaky: bool) -> Cragru:
    return Cragru(setup, name=name, reorder=copied, is_leaky=is_leaky)


def _asking(setup: Setup, *, name: str, is_leaky: bool, form: RankingForm | None) -> Cragru:
    kind = SinglePassRanker if form is None else LikelihoodRanker
    ranker: Form = kind(_server(), prompting=prompting_of(LlmSettings(window=RANKED)))
    ranker.warm_up()
    order = LlmOrder(
        setup.dataset,
        ranker=ranker,
        strategy=Strategy(str(setup.setting["strategy"])),
        seed=setup.seed,
        form=form,
    )
    return Cragru(setup, name=name, reorder=order, is_leaky=is_leaky, one_in=_ONE_IN)


def _rows() -> Iterator[Method]:
    for is_leaky in (False, True):
        name = "cragru_copy_leaky" if is_leaky else "cragru_copy"
        yield Method(
            name=name,
            backbones=LEARNED,
            make=partial(_copying, name=name, is_leaky=is_leaky),
            note="Zhang H. et al. 2025 with a re-ranker that copies, "
            + ("leaking test items as released." if is_leaky else "without the leak."),
        )
        for form in (None, RankingForm.LIKELIHOOD) if _URL in os.environ else ():
            name = f"cragru_llm{'_titles' if form else ''}{'_leaky' if is_leaky else ''}"
            yield Method(
                name=name,
                backbones=LEARNED,
                make=partial(_asking, name=name, is_leaky=is_leaky, form=form),
                grid=tuple({"strategy": s} for s in ("preference", "diversity", "attention")),
                note=f"Zhang H. et al. 2025 with an LLM{' by likelihood' if form else ''}, "
                f"the first {RANKED} candidates of one user in {_ONE_IN}, rated on those, "
                + ("leaking test items as released." if is_leaky else "without the leak."),
            )


METHODS = tuple(_rows())
