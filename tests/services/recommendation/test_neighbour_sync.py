"""How a process builds its neighbours."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from structlog.testing import capture_logs

from app.adapters.neighbours import ExactNeighbours
from app.domain.models import Interaction, ItemId, Kind
from app.services.recommendation.neighbour_sync import NeighbourSync, NeighbourSyncConfig
from tests.world import START, World

SEA: Final = (ItemId("sea-00"), ItemId("sea-01"))


def test_a_build_tells_how_far_it_is_and_names_nobody(shared_world: World) -> None:
    adapters = shared_world.adapters
    feed = NeighbourSync(
        uows=adapters.uows,
        neighbours=ExactNeighbours(),
        clock=adapters.clock,
        config=NeighbourSyncConfig(process_id="another", tell_every=10),
    )

    with capture_logs() as told:
        feed.start()
    feed.stop()

    with adapters.uows.read() as uow:
        pairs = sum(len(items) for _, items in uow.interactions.all_evidence())
    assert [(one["event"], one["n_users"]) for one in told] == [
        ("neighbours_building", 10),
        ("neighbours_building", 20),
        ("neighbours_building", 30),
        ("neighbours_built", 30),
    ]
    assert told[2]["n_pairs"] == told[3]["n_pairs"] == pairs
    assert {key for one in told for key in one} == {
        "event",
        "log_level",
        "n_pairs",
        "seconds",
        "seq",
        "n_users",
    }


def _rate(world: World, name: str, values: dict[str, float], *, day: int = 0) -> None:
    identity, pseudonym = world.adapters.identity, world.user(name)
    world.container.ingest.record(
        [
            Interaction(
                pseudonym=pseudonym,
                event_key=identity.event_key(pseudonym, f"{item}-{day}"),
                kind=Kind.RATING,
                occurred_at=START + timedelta(days=day),
                item_id=ItemId(item),
                value=value,
            )
            for item, value in values.items()
        ]
    )


def test_twenty_low_ratings_make_nothing_popular_and_one_turns_what_was_said_before(
    own_world: World,
) -> None:
    """The counts follow the feed and stay those of a build from the rows."""
    feed, neighbours = own_world.container.feed, own_world.adapters.neighbours
    hated = ItemId("sea-17")
    before = {one.item_id: one.score for one in neighbours.popular(top_n=60)}

    for number in range(20):
        _rate(own_world, f"hater-{number}", {hated: 1.0})
    _rate(own_world, "critic", {"sea-00": 3.0, "sea-01": 3.0})
    feed.acknowledge()
    between = {one.item_id: one.score for one in neighbours.popular(top_n=60)}
    # Three 5s put the 3s a deviation below this user's own mean.
    _rate(own_world, "critic", {"crime-00": 5.0, "crime-01": 5.0, "crime-02": 5.0}, day=1)
    feed.acknowledge()
    after = {one.item_id: one.score for one in neighbours.popular(top_n=60)}

    assert between == before | {item: before[item] + 1 for item in SEA}
    assert {item: after[item] for item in SEA} == {item: before[item] for item in SEA}
    state, rebuilt = feed.compare(without=own_world.user("nobody"))
    assert state == rebuilt
