"""What is asked of the LLM when the user asks for something in words."""

from __future__ import annotations

import pytest

from app.domain.models import Item, ItemId
from app.domain.tally import Tally
from app.ports.ranker import RankingForm
from app.services.concurrency import ConcurrencyLimiter
from app.services.recommendation.reading_check import ReadingCheck
from app.services.recommendation.reranking import (
    Provenance,
    RankedBy,
    Regime,
    Reranker,
    RerankerConfig,
    RerankingRequest,
)
from tests.world import StubRanker, World

CANDIDATES = [Item(ItemId(f"i{n}"), f"Title {n}") for n in range(9)]


@pytest.fixture
def reranker(shared_world: World, ranker: StubRanker) -> Reranker:
    """Weighs queries alone, as the settings do unless somebody says otherwise."""
    adapters = shared_world.adapters
    return Reranker(
        ranker=ranker,
        reading=ReadingCheck(uows=adapters.uows, ranker=ranker, is_wanted=True),
        cache=adapters.cache,
        answers=Tally("hit", "miss"),
        identity=adapters.identity,
        limiter=ConcurrencyLimiter(1),
        config=RerankerConfig(weight=0.0, query_weight=0.9, timeout_s=1.0, cache_ttl_s=60.0),
    )


def request(world: World, name: str, *, query: str | None) -> RerankingRequest:
    return RerankingRequest(world.user(name), 0, memories=[], candidates=CANDIDATES, query=query)


def test_a_query_is_ranked_without_memories_and_by_a_weight_of_its_own(
    shared_world: World, reranker: Reranker, ranker: StubRanker
) -> None:
    with_words = reranker.order(request(shared_world, "asker", query="a story of the sea"))
    without = reranker.order(request(shared_world, "asker", query=None))

    assert with_words.provenance == Provenance(
        RankedBy.LLM, Regime.QUERY, form=RankingForm.LIKELIHOOD, prompt_id="en-0"
    )
    assert without.provenance == Provenance(RankedBy.RETRIEVAL, Regime.HISTORY)
    assert [task.query for task in ranker.tasks] == ["a story of the sea"]
    assert [one.item_id for one in with_words.items] != [one.item_id for one in without.items]


def test_a_query_keeps_the_fused_order_when_no_server_can_rank_it(
    shared_world: World, reranker: Reranker, ranker: StubRanker
) -> None:
    ranker.ranks_queries = False

    found = reranker.order(request(shared_world, "unable", query="a story of the sea"))

    assert found.provenance == Provenance(RankedBy.RETRIEVAL, Regime.QUERY)
    assert [one.item_id for one in found.items] == [one.item_id for one in CANDIDATES]
    assert ranker.tasks == []


def test_what_is_asked_in_words_is_ranked_anew_each_time_because_nothing_of_it_is_kept(
    shared_world: World, reranker: Reranker, ranker: StubRanker
) -> None:
    for _ in range(2):
        reranker.order(request(shared_world, "repeater", query="the sea"))

    assert [task.query for task in ranker.tasks] == ["the sea", "the sea"]
