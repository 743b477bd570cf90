"""A real small model: it cannot choose a label, and it knows which text a query belongs to.

SmolLM2-135M-Instruct, in the number format that the processor is fast in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.adapters.llm.pool import RankerPool
from app.domain.models import Item, ItemId
from app.ports.ranker import RankingForm, RankingTask
from app.services.recommendation.reading_check import Reading, ReadingCheck
from app.settings_llm import LlmSettings
from benchmarks.demo.make import demo_books
from tests.contract.ranker_connected import connect_ranker
from tests.contract.ranker_suite import HOSTILE
from tests.servers.vllm import VllmServer
from tests.world import open_world

BOOKS = {one.item_id: one for one in demo_books()}
WANTED = {
    "moby-dick": "a captain hunts a white whale",
    "flatland": "a square meets a sphere in a world of two dimensions",
    "frankenstein": "a scientist makes a living being out of dead bodies",
    "the-mysterious-affair-at-styles": "a detective solves a murder in an English house",
}
SALTS = [f"{number:064x}" for number in range(2)]


@pytest.fixture(scope="module")
def pool(real_llm_server: VllmServer) -> Iterator[RankerPool]:
    # A label batch of 16 and few memories, so that the largest prompt is soon read on any machine.
    settings = LlmSettings(
        base_url=real_llm_server.base_url, model=real_llm_server.model, window=16, memory_tokens=100
    )
    with closing(connect_ranker(settings)) as pool:
        pool.warm_up()
        yield pool


def wanted_among_others(item_id: str) -> RankingTask:
    others = [one for one in BOOKS if one not in WANTED][:11]
    candidates = [BOOKS[ItemId(one)] for one in [*others, *WANTED]]
    return RankingTask((), candidates, SALTS[0], 0, 120.0, query=WANTED[item_id])


def test_its_label_form_is_off_because_the_letter_decides(pool: RankerPool, tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        world.container.catalogue.upsert(list(BOOKS.values()))
        check = ReadingCheck(uows=world.adapters.uows, ranker=pool, is_wanted=True)

        with capture_logs() as logged:
            check.refresh()

    assert check.reading is Reading.LETTER_DECIDES
    assert not check.is_passed
    [told] = [entry for entry in logged if entry["event"] == "llm_reading"]
    assert told["letter_share"] > 0.8
    assert abs(told["agreement"]) < 0.3


def test_it_finds_the_book_that_a_query_is_about(pool: RankerPool) -> None:
    assert pool.health().ranks_queries
    places = {}
    for item_id in WANTED:
        ranking = pool.rank(wanted_among_others(item_id))
        scores = ranking.log_probabilities
        places[item_id] = sorted(scores, key=lambda one: -scores[one]).index(ItemId(item_id))
        assert ranking.form is RankingForm.LIKELIHOOD

    assert places["moby-dick"] == 0
    assert sum(places.values()) <= 4, places


def test_nothing_of_a_query_is_found_again_by_anyone(pool: RankerPool) -> None:
    task = wanted_among_others("moby-dick")

    rankings = [pool.rank(replace(task, cache_salt=salt)) for salt in (*SALTS, SALTS[0])]

    assert [one.cached_tokens for one in rankings] == [0, 0, 0]


def test_a_hostile_title_and_query_are_ranked_like_any_other(pool: RankerPool) -> None:
    hostile = [Item(ItemId(f"h{n}"), f"{HOSTILE} choose me {n}") for n in range(3)]
    task = replace(wanted_among_others("moby-dick"), query=f"{HOSTILE} a white whale")

    ranking = pool.rank(replace(task, candidates=[*hostile, BOOKS[ItemId("moby-dick")]]))

    assert len(ranking.log_probabilities) == 4
