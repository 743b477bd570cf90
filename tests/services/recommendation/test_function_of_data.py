"""An answer is a function of what was told, and of nothing that a service drew or did."""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from app.api.recommended import RecommendationOut
from app.services.recommendation.query import RecommendQuery
from tests.world import World, catalogue, open_world

READERS = [f"reader-{number}" for number in range(12)]


def tell(world: World, *, seed: int) -> None:
    """Let readers rate at one moment more books than a profile is made of; one says something."""
    order = random.Random(seed)  # noqa: S311 - an order, not a secret
    books = catalogue()
    tellers = READERS.copy()
    order.shuffle(books)
    order.shuffle(tellers)
    world.container.catalogue.upsert(books[:31])
    world.container.catalogue.upsert(books[31:])
    for name in tellers:
        taste = random.Random(name)  # noqa: S311 - a taste, not a secret
        values = {one.item_id: float(taste.randint(1, 5)) for one in catalogue()}
        read, again = taste.sample(sorted(values), 40), taste.sample(sorted(values), 30)
        said = taste.sample(["storms at sea", "a clue at last", "planets"], taste.randint(0, 2))
        for ids, day in ((read[:25], 0), (again, 1), (read[25:], 0)):
            order.shuffle(ids)
            world.rate(name, {item_id: values[item_id] for item_id in ids}, day=day)
        for text in order.sample(said, len(said)):
            world.note(name, text, event_id=text)


def answers(folder: Path, *, seed: int) -> list[bytes]:
    """Return what every reader gets from a service of its own keys, told in an order of its own."""
    with open_world(folder) as world:
        tell(world, seed=seed)
        world.container.feed.start()
        return [answer(world, name) for name in READERS]


def answer(world: World, name: str) -> bytes:
    made = world.container.recommend.recommend(RecommendQuery(pseudonym=world.user(name), n=20))
    told = RecommendationOut.from_domain(made, user=name)
    return told.model_dump_json(exclude={"timings_ms", "cursor", "recommendation_id"}).encode()


def test_the_bytes_are_the_same_under_other_keys_in_another_order_and_process(
    tmp_path: Path,
) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:
        other = elsewhere.submit(answers, tmp_path / "other", seed=2)
        mine = answers(tmp_path / "mine", seed=1)

        assert all(b'"personalised":true' in one for one in mine)
        assert mine == other.result()
