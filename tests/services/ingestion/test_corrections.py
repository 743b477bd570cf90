"""The same event id with another content: a correction (GDPR Art. 16), wherever the old one was."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.erasure.request import Ground, RequestState
from app.domain.erasure.residue import Needles
from app.domain.erasure.scope import AllScope, ItemsScope
from app.domain.errors import ConflictError
from app.domain.models import HistoryEntry, Interaction, ItemId, Kind, RequestId
from app.services.erasure.requests import ForgetCommand
from app.services.ingestion.outcomes import Outcome
from tests.world import START, World

A, U, D, E = Outcome.ACCEPTED, Outcome.UPDATED, Outcome.DUPLICATE, Outcome.ERASED


def event(
    world: World, name: str, *, value: float = 5.0, item: str = "sea-00", text: str | None = None
) -> Interaction:
    """One event of a user, always under the same id."""
    pseudonym = world.user(name)
    key = world.adapters.identity.event_key(pseudonym, "the one event")
    return Interaction(pseudonym, key, Kind.RATING, START, ItemId(item), value, text)


def tell(world: World, *events: Interaction) -> list[Outcome]:
    return list(world.container.ingest.record(events).outcomes)


def held(world: World, name: str) -> list[HistoryEntry]:
    with world.adapters.uows.read() as uow:
        return uow.interactions.history(world.user(name))


def open_requests(world: World, name: str) -> list[RequestId]:
    with world.adapters.uows.read() as uow:
        return [one.request_id for one in uow.requests.open_of(world.user(name))]


def test_another_content_takes_the_place_of_the_old_one_when_the_event_is_known(
    shared_world: World,
) -> None:
    world = shared_world
    first, second = (
        event(world, "ann", value=5.0),
        event(world, "ann", value=1.0, item="sea-01", text="sank at once"),
    )

    assert tell(world, first) == [A]
    assert tell(world, first) == [D]
    assert tell(world, second) == [U]
    assert tell(world, second) == [D]

    [entry] = held(world, "ann")
    assert (entry.item_id, entry.value, entry.text) == ("sea-01", 1.0, "sank at once")


@pytest.mark.parametrize(
    ("before", "batch", "outcomes", "stays"),
    [
        ([], [5, 5], [A, D], 5),
        ([], [5, 1], [A, U], 1),
        ([], [5, 1, 5], [A, U, U], 5),
        ([5], [1, 5], [U, U], 5),
        ([5], [5, 1], [D, U], 1),
        ([5], [1, 1], [U, D], 1),
    ],
)
def test_the_last_of_a_batch_stands_when_it_tells_an_event_twice(
    shared_world: World, before: list[int], batch: list[int], outcomes: list[Outcome], stays: int
) -> None:
    name = f"twice-{before}-{batch}"
    for value in before:
        tell(shared_world, event(shared_world, name, value=value))

    assert tell(shared_world, *(event(shared_world, name, value=v) for v in batch)) == outcomes

    assert [one.value for one in held(shared_world, name)] == [stays]


def test_no_byte_of_the_old_content_is_left_when_its_scrub_is_over(own_world: World) -> None:
    world = own_world
    old, new = (event(world, "bo", text=f"words that were {one} here") for one in ("first", "last"))
    tell(world, old)
    [former] = held(world, "bo")
    collected = world.container.search
    with world.adapters.uows.read() as uow:
        [trace] = uow.interactions.traces(world.user("bo"), record_ids=[former.record_id])
    tell(world, new)
    [request_id] = open_requests(world, "bo")

    assert world.erase(request_id)

    status = world.container.forget.status(request_id)
    assert status.request.scope_kind == "correction"
    assert '"scope_kind":"correction"' in (status.certificate or "")
    needles = Needles(ids=(former.record_id,), documents=(str(trace.stored_text),))
    [reports] = collected.search([needles])
    assert all(report.is_clean for report in reports)
    [entry] = held(world, "bo")
    assert entry.text == "words that were last here"
    assert entry.event_key == new.event_key
    memories = world.adapters.memory.vectors(world.user("bo"), [entry.record_id, former.record_id])
    assert list(memories) == [entry.record_id]


def test_an_answer_under_way_is_thrown_away_when_what_it_rests_on_is_corrected(
    shared_world: World,
) -> None:
    world = shared_world
    tell(world, event(world, "cy"))
    with world.adapters.uows.read() as uow:
        before = uow.subjects.get(world.user("cy"))

    tell(world, event(world, "cy", value=2.0))

    with world.adapters.uows.read() as uow:
        after = uow.subjects.get(world.user("cy"))
    assert before is not None
    assert after is not None
    assert after.epoch == before.epoch + 1


def test_the_counts_are_those_of_a_rebuild_when_an_event_moves_to_another_item(
    own_world: World,
) -> None:
    world = own_world
    tell(world, event(world, "di", item="sea-05"))
    tell(world, event(world, "di", item="crime-05"))

    state, rebuilt = world.container.feed.compare(without=world.user("nobody"))

    assert state == rebuilt


def test_a_correction_cannot_be_held_or_rejected_when_its_scrub_waits(own_world: World) -> None:
    world = own_world
    tell(world, event(world, "ed"))
    tell(world, event(world, "ed", value=1.0))
    [request_id] = open_requests(world, "ed")

    with pytest.raises(ConflictError, match="correction"):
        world.container.operations.hold(request_id)
    with pytest.raises(ConflictError, match="correction"):
        world.container.operations.reject(request_id, ground=Ground.ARCHIVING)

    assert [one.value for one in held(world, "ed")] == [1.0]


def test_a_correction_is_refused_when_its_new_item_was_erased(own_world: World) -> None:
    world = own_world
    world.read("fay", ["sea-09"])  # of what was never held nothing is remembered as erased
    tell(world, event(world, "fay"))
    scope = ItemsScope((ItemId("sea-09"),))
    world.container.forget.accept(ForgetCommand(world.user("fay"), scope))

    assert tell(world, event(world, "fay", item="sea-09")) == [E]

    assert [one.item_id for one in held(world, "fay")] == ["sea-00"]


def test_an_erasure_of_all_waits_for_the_scrub_of_a_correction_when_both_are_asked_for(
    own_world: World,
) -> None:
    world = own_world
    tell(world, event(world, "gil"))
    tell(world, event(world, "gil", value=1.0))
    [correction] = open_requests(world, "gil")
    command = ForgetCommand(world.user("gil"), AllScope())
    whole = world.container.forget.accept(command).request.request_id
    world.settle()

    for step in range(6):
        world.clock.ahead = timedelta(hours=step + 1)
        world.settle()
        for request_id in (whole, correction):
            world.container.erase.execute(request_id)

    for request_id in (whole, correction):
        state = world.container.forget.status(request_id).request.state
        assert state is RequestState.COMPLETED
    assert held(world, "gil") == []


def test_what_was_left_out_is_told_by_its_place_when_a_batch_is_mixed(own_world: World) -> None:
    world = own_world
    good, lost = event(world, "hal"), event(world, "hal2", item="atlantis")
    told = world.container.ingest.record([good, lost, good], skip_unknown=True)

    assert told.errors == [(1, Outcome.UNKNOWN_ITEM), (2, D)]
    assert (told.accepted, told.updated, told.duplicate, told.refused) == (1, 0, 1, 1)
    assert held(world, "hal2") == []
