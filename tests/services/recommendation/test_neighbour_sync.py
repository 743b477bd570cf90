"""How a process builds its neighbours."""

from __future__ import annotations

from typing import Final

import pytest
from structlog.testing import capture_logs

from app.adapters.db import everybody
from app.adapters.neighbours import ExactNeighbours
from app.bootstrap.adapters import Adapters
from app.domain.erasure.scope import AllScope, ItemsScope
from app.domain.models import ItemId
from app.ports.clock import Clock
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.topic_matching import TopicMatcher
from app.services.erasure.requests import ForgetCommand
from app.services.recommendation.kept_users import KeptUsers
from app.services.recommendation.neighbour_sync import NeighbourSync, NeighbourSyncConfig
from tests.evidence import evidence_of_all
from tests.stateful.doubles import SetClock
from tests.world import World

SEA: Final = (ItemId("sea-00"), ItemId("sea-01"))


def topics_of(adapters: Adapters) -> TopicMatcher:
    current = CurrentCatalogue(uows=adapters.uows, index=adapters.catalogue_index)
    return TopicMatcher(embedder=adapters.embedder, memory=adapters.memory, catalogue=current)


def feed_of(
    adapters: Adapters,
    neighbours: ExactNeighbours,
    config: NeighbourSyncConfig,
    *,
    clock: Clock | None = None,
) -> NeighbourSync:
    """The feed of another process of the same service."""
    return NeighbourSync(
        uows=adapters.uows,
        neighbours=neighbours,
        kept=KeptUsers(),
        topics=topics_of(adapters),
        clock=clock or adapters.clock,
        config=config,
    )


def test_a_build_tells_how_far_it_is_and_names_nobody(
    shared_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everybody, "_IDS", 30)
    adapters = shared_world.adapters
    feed = feed_of(
        adapters, ExactNeighbours(), NeighbourSyncConfig(process_id="another", tell_every=50)
    )

    with capture_logs() as told:
        feed.start()
    feed.stop()

    with adapters.uows.read() as uow:
        pairs = sum(map(len, evidence_of_all(uow).values()))
    *building, built = told
    rows = [one["n_rows"] for one in building]
    assert {one["event"] for one in building} == {"neighbours_building"}
    assert len(rows) == pairs // 50
    assert all(50 * n <= n_rows < 50 * n + 30 for n, n_rows in enumerate(rows, 1))
    assert (built["event"], built["n_users"], built["n_pairs"]) == ("neighbours_built", 30, pairs)
    known = {"event", "log_level", "n_rows", "n_users", "n_pairs", "seconds", "seq"}
    assert {key for one in told for key in one} == known


def test_twenty_low_ratings_make_nothing_popular_and_one_turns_what_was_said_before(
    own_world: World,
) -> None:
    """The counts follow the feed and stay those of a build from the rows."""
    feed, neighbours = own_world.container.feed, own_world.adapters.neighbours
    hated = ItemId("sea-17")
    before = {one.item_id: one.score for one in neighbours.popular(top_n=60)}

    for number in range(20):
        own_world.rate(f"hater-{number}", {hated: 1.0})
    own_world.rate("critic", {"sea-00": 3.0, "sea-01": 3.0})
    feed.acknowledge()
    between = {one.item_id: one.score for one in neighbours.popular(top_n=60)}
    # Three 5s put the 3s a deviation below this user's own mean.
    own_world.rate("critic", {"crime-00": 5.0, "crime-01": 5.0, "crime-02": 5.0}, day=1)
    feed.acknowledge()
    after = {one.item_id: one.score for one in neighbours.popular(top_n=60)}

    assert between == before | {item: before[item] + 1 for item in SEA}
    assert {item: after[item] for item in SEA} == {item: before[item] for item in SEA}
    state, rebuilt = feed.compare(without=own_world.user("nobody"))
    assert state == rebuilt


def test_what_was_only_added_waits_for_its_turn_and_what_was_removed_does_not(
    own_world: World,
) -> None:
    adapters, neighbours = own_world.adapters, ExactNeighbours()
    feed = feed_of(adapters, neighbours, NeighbourSyncConfig(process_id="folding", fold_s=86_400.0))
    feed.start()
    own_world.read("first", ["sea-03", "sea-04"])
    feed.acknowledge()  # the first addition after a start is folded in
    own_world.read("second", ["sea-03", "sea-04"])
    feed.acknowledge()
    was_waiting = neighbours.refresh()

    accepted = own_world.container.forget.accept(
        ForgetCommand(
            pseudonym=own_world.user("second"),
            scope=AllScope(),
            idempotency_key=None,
            subject_request_id=None,
        )
    )
    feed.acknowledge()
    was_left = neighbours.refresh()
    feed.stop()
    own_world.erase(accepted.request.request_id)

    assert was_waiting
    assert not was_left


class _Slow(ExactNeighbours):
    """Takes three seconds of a clock for a model."""

    def __init__(self, clock: SetClock) -> None:
        super().__init__()
        self.clock = clock

    def refresh(self) -> bool:
        self.clock.sleep(3)
        return super().refresh()


def test_an_opinion_that_turns_waits_and_what_is_forgotten_or_corrected_of_its_user_does_not(
    own_world: World,
) -> None:
    feed, neighbours = own_world.container.feed, own_world.adapters.neighbours
    for name in ("forgetting", "correcting"):
        own_world.rate(name, dict.fromkeys(SEA, 5.0))
    own_world.settle()

    settled = list[bool]()
    own_world.rate("forgetting", {SEA[0]: 1.0}, day=1)
    _follow(own_world)
    settled.append(neighbours.is_settled())
    accepted = own_world.container.forget.accept(
        ForgetCommand(
            pseudonym=own_world.user("forgetting"),
            scope=ItemsScope(SEA[:1]),
            idempotency_key=None,
            subject_request_id=None,
        )
    )
    _follow(own_world)
    settled.append(neighbours.is_settled())
    own_world.erase(accepted.request.request_id)
    own_world.rate("correcting", {SEA[0]: 1.0})  # the same event, now with another value
    _follow(own_world)
    settled.append(neighbours.is_settled())

    assert settled == [True, False, False]
    state, rebuilt = feed.compare(without=own_world.user("nobody"))
    assert state == rebuilt


def _follow(world: World) -> None:
    with world.adapters.uows.read() as uow:
        world.container.feed.catch_up(uow)


def test_additions_wait_forty_times_as_long_as_the_last_model_took(own_world: World) -> None:
    adapters, clock = own_world.adapters, SetClock()
    neighbours = _Slow(clock)
    feed = feed_of(
        adapters, neighbours, NeighbourSyncConfig(process_id="resting", fold_s=1.0), clock=clock
    )
    feed.start()
    own_world.read("first", ["sea-03", "sea-04"])
    feed.acknowledge()
    own_world.read("second", ["sea-03", "sea-04"])
    editions = [neighbours.edition()]
    for seconds in (119, 2):
        clock.sleep(seconds)
        feed.acknowledge()
        editions.append(neighbours.edition())

    assert editions[0] == editions[1] < editions[2]


class _Unhashed(ExactNeighbours):
    """Has more to hash than a start waits for."""

    may_end = False

    def is_hashed(self) -> bool:
        return self.may_end and super().is_hashed()


def test_a_process_serves_before_its_hash_is_there_and_certificates_wait_for_it(
    shared_world: World,
) -> None:
    adapters, neighbours = shared_world.adapters, _Unhashed()
    feed = feed_of(adapters, neighbours, NeighbourSyncConfig(process_id="unhashed"))

    feed.start()
    assert neighbours.popular(top_n=1)
    assert (feed.acknowledge(), _told(adapters)) == (-1, (-1, None))
    neighbours.may_end = True
    with adapters.uows.read() as uow:
        head = uow.changes.head()
    assert feed.acknowledge() == head
    assert _told(adapters) == (head, neighbours.state_hash())
    feed.stop()


def _told(adapters: Adapters) -> tuple[int, str | None]:
    """Return what a process says of itself, the number that it acknowledges and its hash."""
    with adapters.uows.read() as uow:
        live = uow.processes.live(now=adapters.clock.now())
    [(acked, state_hash)] = [
        (one.acked_seq, one.state_hash) for one in live if one.process_id == "unhashed"
    ]
    return acked, state_hash
