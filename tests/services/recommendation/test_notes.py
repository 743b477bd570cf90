"""Notes in somebody's own words: what they ask for comes, what they speak against stays away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from app.adapters.embedders.static import StaticEmbedder
from app.domain.models import Item, ItemId
from app.domain.recommendation.memory import describe_item
from app.domain.recommendation.topic import Topic
from app.ports.memory_store import MemoryStore
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.topic_matching import TopicMatcher
from app.services.catalogue.vectors import ItemVectors
from app.services.recommendation.query import RecommendQuery
from tests.fakes_memory import FakeCatalogueIndex
from tests.world import World, open_world


class _Counting(StaticEmbedder):
    """The real embedder, with what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        return super().embed(texts)


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


def test_what_a_note_speaks_against_is_kept_in_no_process_and_a_topic_is_until_it_is_dropped() -> (
    None
):
    embedder = _Counting()
    item = Item(ItemId("a"), "A ghost story")
    index = FakeCatalogueIndex()
    index.upsert([item], embedder.embed([item.title]))
    catalogue = CatalogueSnapshot.of([item], ItemVectors(index))
    matcher = TopicMatcher(
        embedder=embedder,
        memory=cast("MemoryStore", None),
        catalogue=cast("CurrentCatalogue", None),
    )

    for topic_id, expected in (("", 2), ("f" * 64, 1)):
        embedder.texts.clear()
        topic = Topic(topic_id, f"ghosts {topic_id}")
        for _ in range(2):
            matcher.items_about([topic], [item], catalogue=catalogue)
        assert embedder.texts.count(topic.text) == expected


def test_a_topic_takes_what_is_by_the_same_hand_and_near_and_no_cookbook() -> None:
    embedder = StaticEmbedder()
    magic, other = {"author": "J. K. Rowling"}, {"author": ["Julia Child"]}
    items = [
        Item(ItemId("secrets"), "Harry Potter and the Chamber of Secrets", "school", magic),
        Item(ItemId("beasts"), "Fantastic Beasts and Where to Find Them", "wizards", magic),
        Item(ItemId("vacancy"), "The Casual Vacancy", "an election for a parish council", magic),
        Item(ItemId("cooking"), "Mastering the Art of French Cooking", "cookbook", other),
        Item(ItemId("beasts-2"), "Fantastic Beasts and Where to Find Them", "wizards", other),
    ]
    index = FakeCatalogueIndex()
    index.upsert(items, embedder.embed([describe_item(one) for one in items]))
    catalogue = CatalogueSnapshot.of(items, ItemVectors(index))
    matcher = TopicMatcher(
        embedder=embedder,
        memory=cast("MemoryStore", None),
        catalogue=cast("CurrentCatalogue", None),
    )

    taken = matcher.items_about([Topic("", "Harry Potter")], items, catalogue=catalogue)

    assert taken == {"secrets", "beasts"}
