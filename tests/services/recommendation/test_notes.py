"""Notes in somebody's own words: what they ask for comes, what they speak against stays away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.services.recommendation.query import RecommendQuery
from tests.world import World, open_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("notes")) as world:
        world.populate()
        for name in ("silent", "averse", "fond"):
            world.read(name, ["sea-00", "sea-01", "crime-00", "crime-01"])
        world.note("averse", "I hate detective stories.")
        world.note("fond", "I can't get enough of detective stories.")
        world.note("new", "Please, more rockets between planets!")
        yield world


def crimes(world: World, name: str, n: int = 12) -> int:
    answer = world.container.recommend.recommend(RecommendQuery(world.user(name), n=n))
    assert len(answer.items) == n
    return sum(one.item.item_id.startswith("crime-") for one in answer.items)


def test_a_note_against_something_keeps_it_out_of_its_own_user_s_list(world: World) -> None:
    assert crimes(world, "averse") == 0
    assert crimes(world, "silent") > 0


def test_praise_with_a_negation_in_it_brings_more_of_what_it_praises(world: World) -> None:
    assert crimes(world, "fond") >= crimes(world, "silent")


def test_a_note_alone_makes_a_list_of_what_it_asks_for(world: World) -> None:
    answer = world.container.recommend.recommend(RecommendQuery(world.user("new"), n=5))

    assert {one.item.item_id[:5] for one in answer.items} == {"stars"}
