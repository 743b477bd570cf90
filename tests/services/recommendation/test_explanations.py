"""Reasons: asked for apart, tied to memories, and never in the way of an answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.domain.errors import AppError, DependencyUnavailableError, RankerError
from app.services.recommendation.answer import Recommendation
from app.services.recommendation.query import RecommendQuery
from app.services.recommendation.reranking import RankedBy
from app.settings_llm import LlmSettings
from tests.world import StubExplainer, StubRanker, World, open_world

SEA = [f"sea-{number:02d}" for number in range(6)]


@pytest.fixture(scope="module")
def told() -> tuple[StubRanker, StubExplainer]:
    return StubRanker(), StubExplainer()


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, told: tuple[StubRanker, StubExplainer]
) -> Iterator[World]:
    ranker, explainer = told
    folder = tmp_path_factory.mktemp("explained")
    llm = LlmSettings(weight=0.3, must_read=False)
    with open_world(folder, ranker=ranker, explainer=explainer, llm=llm) as world:
        world.populate()
        world.read("mariner", SEA)
        yield world


@pytest.fixture
def explainer(told: tuple[StubRanker, StubExplainer]) -> Iterator[StubExplainer]:
    told[1].tasks.clear()
    yield told[1]
    told[1].error = None


def ask(world: World, name: str = "mariner", *, explain: bool = True) -> Recommendation:
    query = RecommendQuery(pseudonym=world.user(name), n=8, explain=explain)
    return world.container.recommend.recommend(query)


def test_the_first_items_get_a_reason_that_cites_memories(
    world: World, explainer: StubExplainer
) -> None:
    answer = ask(world)

    [task] = explainer.tasks
    assert [item.item_id for item in task.items] == [one.item.item_id for one in answer.items[:5]]
    assert [one.reason is not None for one in answer.items] == [True] * 5 + [False] * 3
    first = answer.items[0]
    assert first.reason is not None, "the model said nothing of it, and the catalogue does"
    assert first.reason.text == f"Like {first.because[0].title}: adventure at sea."
    for one in answer.items[1:5]:
        assert one.reason is not None
        assert one.reason.text == f"Like {one.item.title}"
        [memory] = one.reason.cites
        assert memory.item is not None
        assert memory.item.item_id in SEA
    assert answer.timings_ms["reasons"] >= 0
    assert not answer.provenance.is_degraded


def test_nothing_is_explained_unless_it_is_asked_for(
    world: World, explainer: StubExplainer
) -> None:
    answer = ask(world, explain=False)

    assert explainer.tasks == []
    assert all(one.reason is None for one in answer.items)
    assert "reasons" not in answer.timings_ms


@pytest.mark.parametrize("error", [DependencyUnavailableError("down"), RankerError("nonsense")])
def test_a_list_without_reasons_is_better_than_none(
    world: World, explainer: StubExplainer, error: AppError
) -> None:
    plain = ask(world, explain=False)
    explainer.error = error

    with capture_logs() as logged:
        answer = ask(world)

    assert [one.item for one in answer.items] == [one.item for one in plain.items]
    assert answer.provenance.ranked_by is RankedBy.LLM
    assert answer.provenance.is_degraded
    assert {one.reason.text[:5] for one in answer.items if one.reason} == {"Like "}
    assert [entry["event"] for entry in logged] == ["reasons_left_out"]


def test_a_stranger_s_list_is_not_explained(world: World, explainer: StubExplainer) -> None:
    answer = ask(world, "nobody")

    assert explainer.tasks == []
    assert not answer.provenance.is_degraded


def test_reasons_are_asked_for_under_the_user_s_own_salt(
    world: World, told: tuple[StubRanker, StubExplainer], explainer: StubExplainer
) -> None:
    world.read("other", SEA)
    ask(world)
    ask(world, "other")

    assert len({task.cache_salt for task in explainer.tasks}) == 2
    assert explainer.tasks[0].cache_salt in {task.cache_salt for task in told[0].tasks}
