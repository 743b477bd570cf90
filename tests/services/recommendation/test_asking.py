"""What may be asked of a list, and what the list keeps to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.bootstrap.services import container_of
from app.domain.erasure.scope import AllScope
from app.domain.errors import ConflictError, InvalidInputError
from app.domain.models import Item, ItemId, Kind
from app.services.erasure.requests import ForgetCommand
from app.services.recommendation.answer import Recommendation, Source
from app.services.recommendation.query import Boost, Pin, RecommendQuery
from app.wire.scenarios import ScenarioIn
from tests.world import START, World, catalogue, open_world

SEA = [ItemId(f"sea-{number:02d}") for number in range(6)]
SIXTY = 60


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    scenarios = {
        "old": ScenarioIn.model_validate({"where": {"year": {"$lt": 1910}}, "fill": False})
    }
    with open_world(tmp_path_factory.mktemp("asking"), scenarios=scenarios) as made:
        made.populate()
        made.read("mariner", SEA)
        made.read("looker", SEA, kind=Kind.VIEW)
        yield made


def ask(world: World, **query: object) -> Recommendation:
    return world.container.recommend.recommend(RecommendQuery(**query))  # type: ignore[arg-type] # keywords of a test


def ids(answer: Recommendation) -> list[ItemId]:
    return [one.item.item_id for one in answer.items]


WHERES = st.one_of(
    st.builds(lambda year: {"year": {"$lt": year}}, st.integers(1899, 1921)),
    st.builds(lambda year: {"year": {"$gte": year}}, st.integers(1899, 1921)),
    st.sampled_from(
        [
            {"subjects": "detective mystery"},
            {"subjects": {"$ne": "adventure at sea"}},
            {"$or": [{"year": 1903}, {"title": "Murder clue 7"}]},
            {"year": {"$exists": False}},
        ]
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    where=WHERES,
    who=st.sampled_from(["mariner", "looker", "nobody", None]),
    items=st.sampled_from([(), (ItemId("crime-03"),)]),
    text=st.sampled_from([None, "a murderer on a rocket"]),
    exclude=st.sets(st.sampled_from([*SEA, ItemId("stars-01"), ItemId("none")])),
    seen=st.sampled_from([None, frozenset(), frozenset({Kind.RATING})]),
    boost=st.sampled_from([(), (Boost({"year": {"$gt": 1910}}, 3.0),)]),
)
def test_a_filter_takes_items_out_of_the_list_and_changes_no_order(
    *, world: World, who: str | None, where: object, exclude: set[ItemId], **asked: object
) -> None:
    pseudonym = None if who is None else world.user(who)
    query = RecommendQuery(pseudonym=pseudonym, n=SIXTY, exclude=exclude, **asked)  # type: ignore[arg-type] # keywords of a test
    recommend = world.container.recommend.recommend
    whole, filtered = recommend(query), recommend(replace(query, where=where))

    passing = {one.item_id for one in catalogue() if holds(where, one)}
    assert ids(filtered) == [one for one in ids(whole) if one in passing]
    assert len(set(ids(whole))) == len(whole.items)
    assert not set(ids(whole)) & exclude
    assert filtered.matched == len(passing)
    assert whole.matched == SIXTY
    if query.seen is None and who == "mariner":
        assert not set(ids(whole)) & set(SEA)


def holds(where: object, item: Item) -> bool:
    """Judge by hand what the tests ask for."""
    year = item.attributes["year"]
    assert isinstance(year, int)
    match where:
        case {"year": {"$lt": int(bound)}}:
            return year < bound
        case {"year": {"$gte": int(bound)}}:
            return year >= bound
        case {"subjects": "detective mystery"}:
            return item.item_id.startswith("crime")
        case {"subjects": {"$ne": _}}:
            return not item.item_id.startswith("sea")
        case {"$or": _}:
            return year == 1903 or item.title == "Murder clue 7"
        case _:
            return False


def test_a_session_is_answered_by_what_was_touched_in_it_and_nothing_is_kept(world: World) -> None:
    with world.adapters.uows.read() as uow:
        before = uow.changes.head()

    answer = ask(world, items=[ItemId("crime-01"), ItemId("crime-02"), ItemId("nowhere")], n=8)

    assert all(one.startswith("crime") for one in ids(answer))
    assert not {"crime-01", "crime-02"} & set(ids(answer))
    assert answer.unknown_items == ["nowhere"]
    assert not answer.is_personalised
    assert answer.items[0].because
    with world.adapters.uows.read() as uow:
        assert uow.changes.head() == before


def test_a_session_of_unknown_items_gets_the_list_of_a_stranger(world: World) -> None:
    answer = ask(world, items=[ItemId("nowhere")])

    assert ids(answer) == ids(ask(world))
    assert answer.unknown_items == ["nowhere"]


def test_reloading_a_page_leaves_the_rest_of_a_taste_in_memory(world: World) -> None:
    world.read("reloader", SEA[:3], kind=Kind.LIKE)
    for hour in range(70):
        at = START + timedelta(days=30, hours=hour)
        world.read("reloader", ["crime-05"], at=at, kind=Kind.VIEW)

    answer = ask(world, pseudonym=world.user("reloader"))

    named = {cause.item_id for one in answer.items for cause in one.because}
    assert {*SEA[:3]} <= named


def test_a_free_text_finds_what_it_means(world: World) -> None:
    answer = ask(world, text="a detective story", n=5)

    assert all(one.startswith("crime") for one in ids(answer))
    assert {one.source for one in answer.items} == {Source.CONTENT}


@pytest.mark.parametrize("text", ["детектив", "推理小说", "🙂", "zzzz qqqq", "\u200b"])
def test_a_text_in_another_script_gets_a_full_list(world: World, text: str) -> None:
    assert len(set(ids(ask(world, text=text)))) == 10


@pytest.mark.parametrize(
    ("where", "emptied_by"),
    [
        ({"year": {"$gt": 5, "$lt": 3}}, "where.year.$lt"),
        ({"year": 1904, "subjects": "cookery"}, "where.subjects"),
        ({"year": 1904, "$and": [{"year": 1905}]}, "where.$and.0.year"),
    ],
)
def test_an_empty_list_says_which_condition_removed_the_last_item(
    world: World, where: object, emptied_by: str
) -> None:
    answer = ask(world, where=where)

    assert (ids(answer), answer.matched, answer.emptied_by) == ([], 0, emptied_by)


def test_an_empty_list_says_that_all_was_excluded_or_seen(world: World) -> None:
    one = {"item_id": "sea-01"}

    excluded = ask(world, where=one, exclude={ItemId("sea-01")})
    seen = ask(world, where=one, pseudonym=world.user("mariner"))

    assert (excluded.matched, excluded.emptied_by) == (1, "exclude")
    assert (seen.matched, seen.emptied_by) == (1, "seen")
    assert ids(ask(world, where=one, pseudonym=world.user("mariner"), seen=frozenset())) == [
        "sea-01"
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"where": {"colour": "red"}}, "where.colour"),
        ({"where": {"year": {"$near": 3}}}, "where.year.$near"),
        ({"boost": [Boost({"colour": 1}, 2.0)]}, "boost.0.where.colour"),
        ({"scenario": "none"}, "scenario"),
        ({"cursor": "bm9uZQ=="}, "cursor"),
        ({"cursor": "ä"}, "cursor"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_place(
    world: World, query: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        ask(world, **query)

    assert [error.field for error in caught.value.errors] == [field]


def test_a_view_need_not_hide_an_item(world: World) -> None:
    looker = world.user("looker")

    hidden = ask(world, pseudonym=looker, n=SIXTY)
    told = ask(world, pseudonym=looker, n=SIXTY, seen=frozenset({Kind.PURCHASE}))

    assert not set(SEA) & set(ids(hidden))
    assert set(SEA) <= set(ids(told))


@pytest.mark.parametrize("who", ["mariner", None])
def test_pages_repeat_nothing_and_miss_nothing(world: World, who: str | None) -> None:
    query = RecommendQuery(pseudonym=None if who is None else world.user(who), n=25)
    pages = [world.container.recommend.recommend(query)]
    while pages[-1].cursor is not None:
        again = replace(query, cursor=pages[-1].cursor)
        pages.append(world.container.recommend.recommend(again))

    listed = [one for page in pages for one in ids(page)]
    assert len(listed) == len(set(listed)) == SIXTY - (6 if who else 0)
    assert listed[:25] == ids(pages[0])


def test_a_cursor_is_of_its_request_alone_and_ends(world: World) -> None:
    cursor = ask(world, n=5).cursor

    assert len(ids(ask(world, n=7, cursor=cursor))) == 7
    with pytest.raises(InvalidInputError, match="another request"):
        ask(world, n=5, where={"year": 1904}, cursor=cursor)
    with pytest.raises(InvalidInputError, match="none that this service gave"):
        ask(world, n=5, cursor=(cursor or "")[:-8] + "AAAAAAA=")
    world.clock.ahead = timedelta(minutes=31)
    with pytest.raises(ConflictError, match="expired"):
        ask(world, n=5, cursor=cursor)
    world.clock.ahead = timedelta(0)


def test_a_cursor_ends_when_anything_of_its_user_is_erased(own_world: World) -> None:
    own_world.read("leaver", SEA)
    leaver = own_world.user("leaver")
    cursor = ask(own_world, pseudonym=leaver, n=5).cursor

    own_world.container.forget.accept(ForgetCommand(pseudonym=leaver, scope=AllScope()))

    with pytest.raises(ConflictError, match="earlier list"):
        ask(own_world, pseudonym=leaver, n=5, cursor=cursor)


def test_what_is_boosted_comes_first_and_what_was_shown_comes_later(world: World) -> None:
    plain = ids(ask(world, n=SIXTY))
    last = plain[15]

    boosted = ask(world, n=SIXTY, boost=[Boost({"item_id": last}, 10.0)])
    shown = ask(world, n=SIXTY, shown={plain[0]})

    assert ids(boosted)[0] == last
    assert ids(shown).index(plain[0]) > 0
    assert set(ids(shown)) == set(plain)


def test_a_pinned_item_has_its_place_and_keeps_to_the_filter(world: World) -> None:
    pins = [Pin(ItemId("stars-07"), 2), Pin(ItemId("crime-09"), 1), Pin(ItemId("none"), 1)]

    answer = ask(world, pseudonym=world.user("mariner"), n=5, pin=pins)
    filtered = ask(world, n=5, pin=pins, where={"subjects": "detective mystery"})
    excluded = ask(world, n=5, pin=pins, exclude={ItemId("crime-09")})

    assert ids(answer)[:2] == ["crime-09", "stars-07"]
    assert [one.source for one in answer.items[:3]] == [
        *(Source.PINNED, Source.PINNED, Source.BEHAVIOUR)
    ]
    assert len(set(ids(answer))) == 5
    assert "stars-07" not in ids(filtered)
    assert "crime-09" not in ids(excluded)
    assert answer.unknown_items == ["none"]


def test_a_list_is_more_varied_when_it_is_asked_to_be(world: World) -> None:
    mariner = world.user("mariner")

    plain = ids(ask(world, pseudonym=mariner, n=6))
    varied = ids(ask(world, pseudonym=mariner, n=6, diversity=0.9))

    assert {one.split("-")[0] for one in plain} == {"sea"}
    assert len({one.split("-")[0] for one in varied}) == 3


def test_a_list_is_shorter_when_it_is_not_to_be_filled(world: World) -> None:
    where = {"item_id": {"$in": ["crime-13", "crime-12", "sea-07"]}}

    filled = ask(world, items=[ItemId("sea-01")], where=where)
    bare = ask(world, items=[ItemId("sea-01")], where=where, fill=False, n=SIXTY)

    assert set(ids(filled)) == {"crime-13", "crime-12", "sea-07"}
    assert {one.source for one in bare.items} <= {Source.BEHAVIOUR, Source.CONTENT}


def test_a_scenario_s_filter_holds_besides_the_caller_s(world: World) -> None:
    answer = ask(world, scenario="old", where={"year": {"$gte": 1908}}, n=SIXTY)

    assert {one.item.attributes["year"] for one in answer.items} == {1908, 1909}
    assert answer.matched == 6


def test_an_item_hidden_while_the_list_is_made_is_not_in_it(own_world: World) -> None:
    """The catalogue moves on between the candidates and the last look."""
    own_world.read("mariner", SEA)
    own_world.note("mariner", "storms")
    container = container_of(own_world.adapters)
    first = container.recommend.recommend(RecommendQuery(pseudonym=own_world.user("mariner"), n=3))
    gone = first.items[0].item.item_id
    vectors = own_world.adapters.memory.real.vectors  # type: ignore[attr-defined] # a stand-in

    def overtaken(*asked: object, **within: object) -> object:
        with own_world.adapters.uows.write() as uow:
            rows: Any = uow.items
            rows.session.connection.exec_driver_sql("DELETE FROM item WHERE item_id = ?", (gone,))
            rows.session.connection.exec_driver_sql(
                "UPDATE counter SET value = value + 1 WHERE name = 'catalogue'"
            )
        return vectors(*asked, **within)

    with own_world.answering("memory", "vectors", overtaken):
        query = RecommendQuery(pseudonym=own_world.user("mariner"), n=3)
        answer = container.recommend.recommend(query)

    assert gone not in ids(answer)
    assert answer.is_personalised
    assert gone not in ids(container.recommend.recommend(query))
