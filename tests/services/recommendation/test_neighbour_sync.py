"""How a process builds its neighbours."""

from __future__ import annotations

from structlog.testing import capture_logs

from app.adapters.neighbours import ExactNeighbours
from app.services.recommendation.neighbour_sync import NeighbourSync, NeighbourSyncConfig
from tests.world import World


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
