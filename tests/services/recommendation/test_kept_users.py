"""What is kept of users between answers: never older than the feed, and gone with their counts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from app.domain.erasure.scope import AllScope, ItemsScope, Scope, TopicScope
from app.domain.models import Item, ItemId, Kind, Pseudonym, RequestId, Right
from app.services.erasure.requests import ForgetCommand
from app.services.recommendation import kept_users
from app.services.recommendation.answer import Recommendation
from app.services.recommendation.kept_users import KeptUsers
from app.services.recommendation.query import RecommendQuery
from tests.world import World, catalogue, open_world

CRIME = ["crime-10", "crime-11", "crime-12"]
SEA = [f"sea-{number:02d}" for number in range(6)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("kept")) as made:
        made.populate()
        yield made


def kept_in(world: World) -> KeptUsers:
    """Return what the service of a world keeps."""
    return world.container.recommend._users._kept  # noqa: SLF001 - what no interface shows


def ask(world: World, name: str, **query: object) -> Recommendation:
    asked = RecommendQuery(pseudonym=world.user(name), **query)  # type: ignore[arg-type] # keywords of a test
    answer = world.container.recommend.recommend(asked)
    return replace(answer, timings_ms={}, cursor=None, recommendation_id="")


def forget(world: World, name: str, scope: Scope) -> RequestId:
    command = ForgetCommand(
        pseudonym=world.user(name), scope=scope, idempotency_key=None, subject_request_id=None
    )
    return world.container.forget.accept(command).request.request_id


def naming(pseudonym: Pseudonym) -> int:
    """Return how many tables of this process have an entry of a user."""
    gc.collect()
    tables = (one for one in gc.get_objects() if isinstance(one, dict))
    return sum(pseudonym in one for one in tables)


def test_an_answer_from_what_is_kept_is_the_one_from_what_is_read(world: World) -> None:
    world.read("again", SEA)
    world.read("again", ["crime-03"], kind=Kind.DISLIKE)

    read = ask(world, "again", n=20)
    is_kept = world.user("again") in kept_in(world)
    with world.answering("memory", "vectors"):
        kept = ask(world, "again", n=20)

    assert is_kept
    assert kept == read


@pytest.mark.parametrize("scope", [AllScope(), ItemsScope((ItemId("sea-00"),))])
def test_nothing_of_a_user_is_in_the_process_when_it_was_forgotten(
    world: World, scope: Scope
) -> None:
    name = f"leaver-{scope.kind}"
    world.read(name, SEA)
    ask(world, name)
    (value,) = [v for k, v in kept_in(world)._kept.items() if k == world.user(name)]  # noqa: SLF001
    columns: list[Any] = [value.newest, value.values, value.liked, *value.touched]
    assert all(column.any() for column in (value.newest, value.values, value.liked))

    forget(world, name, scope)
    world.settle()

    assert world.user(name) not in kept_in(world)
    assert not any(column.any() for column in columns)
    after = ask(world, name, n=60)
    assert ItemId("sea-00") not in {why.item_id for one in after.items for why in one.because}


def test_no_object_of_the_process_names_a_user_when_all_was_forgotten(world: World) -> None:
    pseudonym = world.user("nameless")
    world.read("nameless", SEA)
    ask(world, "nameless")
    before = naming(pseudonym)

    world.erase(forget(world, "nameless", AllScope()))

    assert before >= 2, "what is looked for is not found where it is: counts and what is kept"
    assert naming(pseudonym) == 0


def test_kept_candidates_hold_nothing_that_somebody_else_took_back(world: World) -> None:
    for number in range(40):
        world.read(f"cook-{number}", [*SEA[:3], "stars-07"])
    world.read("neighbour", SEA[:3])
    world.settle()
    before = ask(world, "neighbour", n=20)
    again = ask(world, "neighbour", n=20)

    for number in range(40):
        forget(world, f"cook-{number}", AllScope())
    after = ask(world, "neighbour", n=20)
    kept_in(world).clear()

    assert before == again
    assert after.items != before.items
    assert after == ask(world, "neighbour", n=20)


def test_kept_candidates_take_in_what_others_added_with_the_next_refresh(world: World) -> None:
    world.read("waiting", CRIME)
    before = ask(world, "waiting", n=20)
    for number in range(40):
        world.read(f"pilot-{number}", [*CRIME, "stars-05"])

    world.settle()
    after = ask(world, "waiting", n=20)

    kept_in(world).clear()

    assert after.items != before.items
    assert after == ask(world, "waiting", n=20)


def test_what_is_written_counts_in_the_next_answer(world: World) -> None:
    world.read("writer", SEA)
    first = ask(world, "writer")
    wanted = [one.item.item_id for one in first.items[:2]]

    world.read("writer", wanted, kind=Kind.VIEW)

    assert not {one.item.item_id for one in ask(world, "writer").items} & set(wanted)


def test_what_people_turned_to_next_counts_while_somebody_is_at_it(world: World) -> None:
    walks = [ItemId(f"{letter}-walk") for letter in "zma"]  # by what they say, z is nearer to m
    world.container.catalogue.upsert([Item(one, one) for one in walks])
    before, asked, after = walks
    for number in range(9):
        world.read(f"early-{number}", [before, asked])
        world.read(f"late-{number}", [asked, after])
    now = world.clock.now()
    world.read("walker", ["sea-00", "sea-01", "sea-02", asked], at=now - timedelta(days=3))
    world.settle()

    def order() -> list[ItemId]:
        listed = [one.item.item_id for one in ask(world, "walker", n=30).items]
        return [one for one in listed if one in walks]

    assert order() == order() == [after, before]
    world.clock.ahead = timedelta(hours=1)
    later = order()
    world.clock.ahead = timedelta(0)
    assert later == [before, after]


def test_an_objection_and_a_reworded_item_count_in_the_next_answer(world: World) -> None:
    world.read("objector", SEA)
    ask(world, "objector")
    world.container.catalogue.upsert([replace(catalogue()[0], title="A murder on the whaler")])
    reworded = ask(world, "objector", n=20)
    kept_in(world).clear()

    assert ask(world, "objector", n=20) == reworded
    world.container.rights.exercise(world.user("objector"), Right.OBJECTION)
    assert not ask(world, "objector").is_personalised


def test_no_word_of_anybody_is_kept(world: World) -> None:
    world.read("talker", SEA)
    world.note("talker", "storms")
    world.read("chooser", [*SEA, "crime-00"])
    forget(world, "chooser", TopicScope("detectives"))

    ask(world, "talker")
    ask(world, "chooser")

    assert world.user("talker") not in kept_in(world)
    assert world.user("chooser") not in kept_in(world)


def test_who_was_asked_for_longest_ago_goes_first_and_is_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_users, "_MOST_TOUCHED", 10)
    kept = kept_in(world)
    kept.clear()
    monkeypatch.setattr(kept_users, "_MOST_USERS", 2)
    for name in ("first", "second", "third"):
        world.read(name, SEA)
        ask(world, name)
        ask(world, "first" if name != "third" else name)
    world.read("glutton", [*SEA, *(f"crime-{number:02d}" for number in range(6))])
    ask(world, "glutton")

    is_kept = {name: world.user(name) in kept for name in ("first", "second", "third", "glutton")}
    assert is_kept == {"first": True, "second": False, "third": True, "glutton": False}


def test_nothing_is_kept_that_was_read_before_a_change_that_is_followed_already(
    world: World,
) -> None:
    """The feed moves on between the reading of a history and its being kept."""
    feed = world.container.feed
    world.read("late", SEA)
    kept_in(world).clear()
    with world.adapters.uows.read() as uow:
        standing = uow.changes.standing(world.user("late"))
        feed.catch_up(uow, head=standing.head)
        at = world.container.current.at(uow)
        users = world.container.recommend._users  # noqa: SLF001 - the moment between two calls
        world.read("late", ["crime-00"])
        world.settle()
        query = RecommendQuery(pseudonym=world.user("late"))
        users.read(query, uow, standing=standing, catalogue=at)

    assert world.user("late") not in kept_in(world)
    assert np.isin("crime-00", [one.item.item_id for one in ask(world, "late").items]).sum() == 0


def test_nothing_is_held_of_what_somebody_did_not_want_once_they_are_forgotten(
    world: World,
) -> None:
    world.read("averse", SEA)
    forget(world, "averse", TopicScope("rockets and stars"))
    ask(world, "averse")
    topics = world.container.recommend._pipeline._topics  # noqa: SLF001 - what no interface shows
    assert topics._known  # noqa: SLF001 - the same

    forget(world, "averse", AllScope())
    ask(world, "somebody else")

    assert not topics._known  # noqa: SLF001 - the same
