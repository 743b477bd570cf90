"""A model orders lists only once it has shown that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log
from pathlib import Path
from zlib import crc32

import pytest
from structlog.testing import capture_logs

from app.domain.errors import DependencyUnavailableError
from app.domain.models import Item, ItemId
from app.domain.recommendation.prompt import shown_order
from app.ports.ranker import LlmRanking, RankerHealth, RankingForm, RankingTask
from app.services.recommendation.query import RecommendQuery
from app.services.recommendation.reading_check import (
    N_CANDIDATES,
    N_LIKED,
    N_LISTS,
    Reading,
    ReadingCheck,
)
from app.services.recommendation.reranking import RankedBy
from app.settings_llm import LlmSettings
from tests.world import StubRanker, World, open_world

Score = Callable[[RankingTask, Item, int], float]
"""From the task, a candidate, and the place at which it is shown."""


WORDS = (
    *("sea", "whale", "storm", "murder", "clue", "rocket"),
    *("planet", "star", "garden", "rose", "king", "queen"),
)


class Model:
    """Ranks by ``score``."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self.now = RankerHealth("ready", warm_ups=1)
        self.n_asked = 0

    def rank(self, task: RankingTask) -> LlmRanking:
        self.n_asked += 1
        scores = {
            item.item_id: self.score(task, item, place)
            for place, item in enumerate(shown_order(task.candidates, seed=task.seed))
        }
        return LlmRanking(scores, RankingForm.LABEL, "none")

    def health(self) -> RankerHealth:
        return self.now


def chance(text: str) -> float:
    """Return a number in [0, 1) that has nothing to do with what the text means."""
    return crc32(text.encode()) / 2**32


def five_words(number: int) -> list[str]:
    return sorted(WORDS, key=lambda word: chance(f"{number} {word}"))[:5]


def shares_words(task: RankingTask, item: Item, place: int) -> float:
    """Read, with some liking for early places."""
    liked = {w for one in task.memories if one.item for w in one.item.title.lower().split()}
    return len(liked & set(item.title.lower().split())) - 0.02 * place


def likes_a(_: RankingTask, __: Item, place: int) -> float:
    return -log(1 + place)


def likes_a_mostly(_: RankingTask, item: Item, place: int) -> float:
    return -log(1 + place) + 0.1 * chance(item.title)


def guesses(task: RankingTask, item: Item, place: int) -> float:
    return chance(f"{task.seed}{item.item_id}{place}")


def says_the_same_of_all(_: RankingTask, __: Item, ___: int) -> float:
    return -1.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("reading")) as world:
        world.container.catalogue.upsert(
            [Item(ItemId(f"i{n}"), " ".join(five_words(n))) for n in range(120)]
        )
        yield world


def check_of(world: World, model: Model) -> ReadingCheck:
    return ReadingCheck(uows=world.adapters.uows, ranker=model, is_wanted=True)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (shares_words, Reading.READS),
        (likes_a, Reading.LETTER_DECIDES),
        (likes_a_mostly, Reading.LETTER_DECIDES),
        (guesses, Reading.ORDERS_DIFFER),
        (says_the_same_of_all, Reading.ORDERS_DIFFER),
    ],
)
def test_a_model_passes_when_it_reads_and_only_then(
    world: World, score: Score, expected: Reading
) -> None:
    check = check_of(world, Model(score))
    assert (check.reading, check.is_passed) == (Reading.UNKNOWN, False)

    with capture_logs() as logged:
        check.refresh()
        check.refresh()

    assert check.reading is expected
    assert check.is_passed is (expected is Reading.READS)
    assert [(one["event"], one["verdict"]) for one in logged] == [("llm_reading", expected)]


def test_it_is_looked_at_again_when_a_server_was_warmed_up_anew(world: World) -> None:
    model = Model(shares_words)
    check = check_of(world, model)
    check.refresh()
    once = model.n_asked
    model.score, model.now = likes_a, RankerHealth("ready", warm_ups=2)

    check.refresh()

    assert once == 2 * N_LISTS
    assert model.n_asked == 2 * once
    assert check.reading is Reading.LETTER_DECIDES


def test_nothing_is_known_while_no_server_is_ready_or_it_fails(world: World) -> None:
    def fail(*_: object) -> float:
        raise DependencyUnavailableError("down")

    model = Model(shares_words)
    model.now = RankerHealth("cold", warm_ups=0)
    check = check_of(world, model)
    check.refresh()
    assert model.n_asked == 0

    model.now, model.score = RankerHealth("ready", warm_ups=1), fail
    check.refresh()
    before = check.reading
    model.score = shares_words
    check.refresh()

    assert (before, check.reading) == (Reading.UNKNOWN, Reading.READS)


def test_nothing_is_known_when_the_catalogue_is_too_small(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        n_items = N_LISTS * (N_LIKED + N_CANDIDATES) - 1
        world.container.catalogue.upsert([Item(ItemId(f"i{n}"), "T") for n in range(n_items)])
        check = check_of(world, Model(shares_words))

        check.refresh()

    assert check.reading is Reading.UNKNOWN


def test_a_model_orders_no_list_before_it_has_shown_that_it_reads(tmp_path: Path) -> None:
    ranker = StubRanker()
    with open_world(tmp_path, ranker=ranker, llm=LlmSettings(weight=0.3)) as world:
        world.populate()
        world.container.catalogue.upsert([Item(ItemId(f"i{n}"), f"T {n}") for n in range(40)])
        query = RecommendQuery(world.user("reader-0"))

        before = world.container.recommend.recommend(query).provenance
        world.container.reading.refresh()
        after = world.container.recommend.recommend(query).provenance

        told = world.container.health.readiness().dependencies["llm"]
    assert (before.ranked_by, before.is_degraded) == (RankedBy.RETRIEVAL, False)
    assert after.ranked_by is RankedBy.LLM
    assert told.reading is Reading.READS
