from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.erasure.scope import AllScope, ItemsScope
from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.models import ItemId, Kind
from app.domain.recommendation.memory_selection import Strategy
from app.ports.ranker import RankingForm
from app.services.erasure.requests import ForgetCommand
from app.services.recommendation.answer import Recommendation
from app.services.recommendation.query import RecommendQuery
from app.services.recommendation.reranking import Provenance, RankedBy, Regime
from app.settings_llm import LlmSettings
from tests.world import StubRanker, World, open_world

SEA = [f"sea-{number:02d}" for number in range(6)]


def ask(world: World, name: str, **query: object) -> Recommendation:
    defaults: dict[str, object] = {"pseudonym": world.user(name)}
    return world.container.recommend.recommend(RecommendQuery(**(defaults | query)))  # type: ignore[arg-type] # keywords of a test


def ids(answer: Recommendation) -> list[str]:
    return [one.item.item_id for one in answer.items]


def test_a_stranger_gets_the_popular_list(shared_world: World) -> None:
    answer = ask(shared_world, "nobody", n=10)

    assert not answer.is_personalised
    assert answer.provenance.ranked_by is RankedBy.POPULARITY
    assert answer.epoch == 0
    assert len(set(ids(answer))) == 10


def test_a_stranger_gets_n_items_even_where_few_were_touched(shared_world: World) -> None:
    assert len(set(ids(ask(shared_world, "nobody", n=60)))) == 60


def test_a_reader_gets_unseen_books_of_their_taste(shared_world: World) -> None:
    shared_world.read("mariner", SEA)

    answer = ask(shared_world, "mariner", n=8)

    assert answer.is_personalised
    assert answer.provenance.ranked_by is RankedBy.RETRIEVAL
    assert not set(ids(answer)) & set(SEA)
    assert len(set(ids(answer))) == 8
    assert all(item.startswith("sea") for item in ids(answer))


def test_a_visitor_who_asks_in_words_is_ranked_by_the_llm_without_a_memory(
    llm_world: World, ranker: StubRanker
) -> None:
    answer = ask(llm_world, "nobody", pseudonym=None, text="a story of the sea")

    assert answer.provenance.regime is Regime.QUERY
    assert answer.provenance.form is RankingForm.LIKELIHOOD
    assert [task.query for task in ranker.tasks] == ["a story of the sea"]
    assert all(not task.memories for task in ranker.tasks)


def test_a_model_is_asked_for_no_order_until_a_weight_says_what_it_is_worth(
    tmp_path: Path, ranker: StubRanker
) -> None:
    with open_world(tmp_path, ranker=ranker, llm=LlmSettings(must_read=False)) as world:
        world.populate()
        world.read("mariner", SEA)

        answers = [ask(world, "mariner"), ask(world, "mariner", text="a story of the sea")]

    assert [one.provenance.regime for one in answers] == [Regime.HISTORY, Regime.QUERY]
    assert {one.provenance.ranked_by for one in answers} == {RankedBy.RETRIEVAL}
    assert ranker.tasks == []


def test_because_names_memories_of_the_user_and_nothing_else(shared_world: World) -> None:
    shared_world.read("reasoner", SEA)

    answer = ask(shared_world, "reasoner")

    reasons = {reason.item_id for one in answer.items for reason in one.because}
    assert reasons
    assert reasons <= set(SEA)


def test_excluded_items_are_left_out(shared_world: World) -> None:
    shared_world.read("picky", SEA)
    first = ids(ask(shared_world, "picky"))

    again = ids(ask(shared_world, "picky", exclude=frozenset(map(ItemId, first[:5]))))

    assert not set(first[:5]) & set(again)


def test_disliked_items_are_not_recommended_again(shared_world: World) -> None:
    shared_world.read("grumpy", SEA)
    shared_world.read("grumpy", ["sea-18"], kind=Kind.DISLIKE)

    assert "sea-18" not in ids(ask(shared_world, "grumpy", n=50))


def test_a_note_alone_personalises_by_its_meaning(shared_world: World) -> None:
    shared_world.note("speaker", "I love stories about a detective who finds a murderer")

    answer = ask(shared_world, "speaker", n=5)

    assert answer.is_personalised
    assert all(item.startswith("crime") for item in ids(answer))


def test_an_objecting_user_gets_the_list_of_a_stranger(shared_world: World) -> None:
    shared_world.read("objector", SEA)

    mine = ask(shared_world, "objector", personalise=False)

    assert ids(mine) == ids(ask(shared_world, "nobody"))
    assert not mine.is_personalised


@pytest.mark.parametrize("strategy", list(Strategy))
def test_every_strategy_gives_a_full_list(shared_world: World, strategy: Strategy) -> None:
    shared_world.read(f"strategist-{strategy}", SEA)

    answer = ask(shared_world, f"strategist-{strategy}", strategy=strategy)

    assert len(answer.items) == 10


def test_the_llm_moves_the_order(llm_world: World, ranker: StubRanker) -> None:
    llm_world.read("mariner", SEA)

    answer = ask(llm_world, "mariner", n=50)

    assert answer.provenance == Provenance(
        RankedBy.LLM, Regime.HISTORY, form=RankingForm.LABEL, prompt_id="en-0"
    )
    assert len(ranker.tasks) == 1
    fused = [item.item_id for item in ranker.tasks[0].candidates]
    assert ids(answer) != fused
    assert sorted(ids(answer)) == sorted(fused)


def test_the_llm_sees_memories_and_no_one_else_s_salt(llm_world: World, ranker: StubRanker) -> None:
    llm_world.read("mariner", SEA)
    llm_world.read("detective", ["crime-01", "crime-02"])

    ask(llm_world, "mariner")
    ask(llm_world, "detective")

    salts = {task.cache_salt for task in ranker.tasks}
    assert len(salts) == 2
    assert all(one.item and "Whale voyage" in one.item.title for one in ranker.tasks[0].memories)


def test_the_same_evidence_is_ranked_once(llm_world: World, ranker: StubRanker) -> None:
    llm_world.read("mariner", SEA)

    first, second = ask(llm_world, "mariner"), ask(llm_world, "mariner")

    assert len(ranker.tasks) == 1
    assert ids(first) == ids(second)


@pytest.mark.parametrize("error", [DependencyUnavailableError("down"), RankerError("nonsense")])
def test_without_the_llm_the_fused_order_stands(
    llm_world: World, ranker: StubRanker, error: Exception
) -> None:
    llm_world.read("mariner", SEA)
    ranker.error = error

    answer = ask(llm_world, "mariner", n=50)

    assert answer.provenance.is_degraded
    assert answer.provenance.ranked_by is RankedBy.RETRIEVAL
    assert ids(answer) == [item.item_id for item in ranker.tasks[0].candidates]


def test_an_answer_that_a_forget_overtakes_is_made_anew(
    llm_world: World, ranker: StubRanker
) -> None:
    llm_world.read("mariner", SEA)
    command = ForgetCommand(pseudonym=llm_world.user("mariner"), scope=AllScope())
    ranker.before_answer.append(lambda: llm_world.container.forget.accept(command))

    answer = ask(llm_world, "mariner")

    assert not answer.is_personalised
    assert ids(answer) == ids(ask(llm_world, "nobody"))


def test_an_item_forgotten_under_way_is_in_no_reason(llm_world: World, ranker: StubRanker) -> None:
    llm_world.read("mariner", SEA)
    scope = ItemsScope((ItemId("sea-00"), ItemId("sea-01")))
    command = ForgetCommand(pseudonym=llm_world.user("mariner"), scope=scope)
    ranker.before_answer.append(lambda: llm_world.container.forget.accept(command))

    answer = ask(llm_world, "mariner", n=50)

    reasons = {reason.item_id for one in answer.items for reason in one.because}
    assert answer.is_personalised
    assert len(ranker.tasks) == 2
    assert reasons == set(SEA[2:])


def test_without_the_vector_store_a_list_rests_on_what_the_user_did(own_world: World) -> None:
    own_world.read("mariner", SEA)
    own_world.read("talker", SEA)
    own_world.note("talker", "storms")

    with own_world.answering("memory", "vectors"):
        unharmed, answer = ask(own_world, "mariner"), ask(own_world, "talker")
        strangers = ask(own_world, "nobody")

    assert unharmed.is_personalised
    assert answer.provenance.is_degraded
    assert answer.is_personalised
    assert answer.provenance.ranked_by is RankedBy.RETRIEVAL
    assert not {*SEA} & {*ids(answer)}
    assert ids(answer) != ids(strangers)


def test_a_dislike_repels_what_is_like_it_and_is_no_reason(shared_world: World) -> None:
    shared_world.read("no-crime", ["crime-03"], kind=Kind.DISLIKE)
    shared_world.read("sea-not-crime", ["sea-00", "sea-01"])
    shared_world.read("sea-not-crime", ["crime-03"], kind=Kind.DISLIKE)
    shared_world.settle()

    for name in ("no-crime", "sea-not-crime"):
        answer = ask(shared_world, name)

        shown = [one.item.item_id for one in answer.items]
        assert len(shown) == 10
        assert not [one for one in shown[:5] if one.startswith("crime")], shown
        assert "crime-03" not in {of.item_id for one in answer.items for of in one.because}


def test_eight_low_ratings_do_not_give_the_list_of_eight_high_ones(shared_world: World) -> None:
    books = [f"crime-{number:02d}" for number in range(8)]
    shared_world.read("admirer", books)
    shared_world.rate("critic", dict.fromkeys(books, 1.0))
    shared_world.settle()

    admired = [one.item.item_id for one in ask(shared_world, "admirer").items]
    criticised = [one.item.item_id for one in ask(shared_world, "critic").items]

    assert [one for one in admired if one.startswith("crime")]
    assert not [one for one in criticised if one.startswith("crime")]
