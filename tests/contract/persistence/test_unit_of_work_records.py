"""Users and interactions, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy import Engine

from app.adapters.db import everybody
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.errors import IntegrityError
from app.domain.models import HistoryEntry, ItemId, Kind, Right, Subject, SubjectStatus
from app.domain.recommendation.opinion import Evidence
from app.ports.persistence.records import NewInteraction
from tests.contract.persistence.sql_rows import (
    NOW,
    SECOND,
    add,
    interaction,
    record_id,
    request_id,
    user,
)
from tests.evidence import evidence_of_all

ANNA, BERT = user("anna"), user("bert")


def told(*rows: NewInteraction) -> list[Evidence]:
    """Return what the rows say of items."""
    acts = [row.interaction for row in rows]
    return [
        Evidence(act.item_id, act.kind, act.value, act.occurred_at)
        for act in acts
        if act.item_id is not None
    ]


def test_a_subject_is_stored(uows: SqlUnitsOfWork) -> None:
    created = Subject(ANNA, SubjectStatus.ACTIVE, 7)

    with uows.write() as uow:
        assert uow.subjects.lock(ANNA) is None
        assert uow.subjects.create(ANNA, epoch=7) == created
        assert uow.subjects.lock(ANNA) == created

    with uows.read() as uow:
        assert uow.subjects.get(ANNA) == created
        assert uow.subjects.get(BERT) is None
        assert uow.subjects.count() == 1


def test_creating_a_subject_again_returns_the_first(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        first = uow.subjects.create(ANNA, epoch=7)
        assert uow.subjects.create(ANNA, epoch=1) == first


def test_an_epoch_is_raised_with_or_without_a_status(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.subjects.create(ANNA, epoch=1)
        assert uow.subjects.raise_epoch(ANNA, status=None) == 2
        assert uow.subjects.get(ANNA) == Subject(ANNA, SubjectStatus.ACTIVE, 2)
        assert uow.subjects.raise_epoch(ANNA, status=SubjectStatus.ERASING) == 3
        assert uow.subjects.get(ANNA) == Subject(ANNA, SubjectStatus.ERASING, 3)


def test_rights_are_set_for_one_subject(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.subjects.create(ANNA, epoch=1)
        bert = uow.subjects.create(BERT, epoch=1)
        uow.subjects.set_rights(ANNA, {Right.RESTRICTION})

    with uows.read() as uow:
        assert uow.subjects.get(ANNA) == Subject(
            ANNA, SubjectStatus.ACTIVE, 1, frozenset({Right.RESTRICTION})
        )
        assert uow.subjects.get(BERT) == bert


def test_a_missing_subject_cannot_be_changed(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        with pytest.raises(IntegrityError):
            uow.subjects.raise_epoch(ANNA, status=None)
        with pytest.raises(IntegrityError):
            uow.subjects.set_rights(ANNA, ())


def test_deleting_a_subject_counts_the_row(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.subjects.create(ANNA, epoch=1)
        uow.subjects.create(BERT, epoch=1)
        assert uow.subjects.delete(ANNA) == 1
        assert uow.subjects.delete(ANNA) == 0
        assert uow.subjects.count() == 1


def test_added_rows_come_back_in_order_without_the_known(uows: SqlUnitsOfWork) -> None:
    known = interaction("anna", "known")
    rows = [interaction("anna", name) for name in ("c", "a")]
    add(uows, known)

    with uows.write() as uow:
        again = replace(known, record_id=record_id("anna", "other"))
        inserted = uow.interactions.add(
            [rows[0], again, rows[1]], pending_until=NOW, received_at=NOW
        )

    assert inserted == rows


def test_of_two_rows_with_one_key_the_first_is_kept(uows: SqlUnitsOfWork) -> None:
    first = interaction("anna", "1", item="first")
    second = replace(interaction("anna", "1", item="second"), record_id=record_id("anna", "x"))

    with uows.write() as uow:
        rows = [first, second]
        assert uow.interactions.add(rows, pending_until=NOW, received_at=NOW) == [first]


def test_event_keys_are_the_users_own(uows: SqlUnitsOfWork) -> None:
    rows = [interaction("anna", "same"), interaction("bert", "same")]

    with uows.write() as uow:
        assert uow.interactions.add(rows, pending_until=NOW, received_at=NOW) == rows
        assert uow.interactions.add([], pending_until=NOW, received_at=NOW) == []


def test_history_is_exact_and_newest_first(uows: SqlUnitsOfWork) -> None:
    rows = [
        interaction("anna", "old", at=NOW - SECOND, value=0.1),
        interaction("anna", "tie 1", kind=Kind.NOTE, item=None, value=None, text="Ünï 🙂"),
        interaction("anna", "tie 2", kind=Kind.LIKE, value=None),
        interaction("bert", "else"),
    ]
    add(uows, *rows)

    with uows.read() as uow:
        history = uow.interactions.history(ANNA)

    mine = sorted(rows[:3], key=lambda row: (NOW - row.interaction.occurred_at, row.record_id))
    assert history == [
        HistoryEntry(
            record_id=row.record_id,
            event_key=row.interaction.event_key,
            kind=row.interaction.kind,
            occurred_at=row.interaction.occurred_at,
            item_id=row.interaction.item_id,
            value=row.interaction.value,
            text=row.interaction.text,
            is_pending=False,
        )
        for row in mine
    ]


def test_a_row_is_pending_until_it_is_marked(uows: SqlUnitsOfWork) -> None:
    row, late = (interaction("anna", event, text="words") for event in "12")
    wordless = interaction("bert", "1")
    with uows.write() as uow:
        uow.interactions.add([row, wordless], pending_until=NOW, received_at=NOW)
        uow.interactions.add([late], pending_until=NOW + SECOND, received_at=NOW)
        assert [entry.is_pending for entry in uow.interactions.history(ANNA)] == [True, True]
        assert uow.interactions.pending_until_of(ANNA) == NOW + SECOND
        assert uow.interactions.pending_until_of(BERT) is None

        assert uow.interactions.mark_stored([row.record_id], lease=NOW) == {row.record_id}

        assert [entry.is_pending for entry in uow.interactions.history(ANNA)] == [False, True]


def test_a_late_write_is_taken_over_by_one_writer_at_a_time(uows: SqlUnitsOfWork) -> None:
    row, late = (interaction("anna", event, text="words") for event in "12")
    until = NOW + 60 * SECOND
    with uows.write() as uow:
        uow.interactions.add([row], pending_until=NOW, received_at=NOW)
        uow.interactions.add([late], pending_until=NOW + SECOND, received_at=NOW)

    with uows.write() as uow:
        live, soon = uow.interactions, NOW + 2 * SECOND
        assert live.lease_pending(expired_at=NOW, until=until, limit=9) == []
        assert live.lease_pending(expired_at=soon, until=until, limit=1) == [row]
        assert live.lease_pending(expired_at=soon, until=until, limit=9) == [late]
        assert live.lease_pending(expired_at=soon, until=until, limit=9) == []
        assert live.pending_until_of(ANNA) == until


def test_memories_of_an_item_are_due_again_when_they_are_stale(uows: SqlUnitsOfWork) -> None:
    said = partial(interaction, text="words")
    stored, writing = said("anna", "1", item="a"), said("bert", "1", item="a")
    other, gone = said("anna", "2", item="b"), said("anna", "3", item="a")
    add(uows, stored, other, gone, interaction("carl", "1", item="a"))
    late, about = NOW + 60 * SECOND, {ItemId("a")}
    with uows.write() as uow:
        live = uow.interactions
        live.add([writing], pending_until=late, received_at=NOW)
        live.flag(request_id("r"), [gone.record_id])
        assert live.mark_stale(about, at=NOW) == 3
        assert live.mark_stale([], at=NOW) == 0

    with uows.write() as uow:
        live = uow.interactions
        assert live.pending_items({*about, ItemId("b")}) == about
        assert sorted(live.users_of(about)) == sorted([ANNA, BERT, user("carl")])
        # Who is writing does not make it current: what was written may be the old words.
        assert live.mark_stored([writing.record_id], lease=late) == {writing.record_id}
        pending = live.pending_until_of(BERT)
        assert pending is not None
        assert pending > late
        soon = NOW + SECOND
        assert live.lease_pending(expired_at=soon, until=late, limit=9) == [stored]
        assert live.mark_stored([stored.record_id], lease=late) == {stored.record_id}
        assert live.lease_pending(expired_at=late + SECOND, until=late, limit=9) == [writing]
        assert live.unflag(request_id("r")) == 1
        assert live.lease_pending(expired_at=soon, until=late, limit=9) == [gone]


def test_flagged_rows_are_seen_by_no_read(uows: SqlUnitsOfWork) -> None:
    rows = [interaction("anna", str(n), item=str(n), text="words") for n in range(3)]
    doomed = [rows[0].record_id, rows[1].record_id]
    with uows.write() as uow:
        uow.interactions.add(rows, pending_until=NOW, received_at=NOW)
        assert uow.interactions.flag(request_id("r"), [*doomed, record_id("nobody", "0")]) == 2

    with uows.write() as uow:
        live = uow.interactions
        assert [entry.record_id for entry in live.history(ANNA)] == [rows[2].record_id]
        assert live.evidence([ANNA]) == {ANNA: told(rows[2])}
        assert evidence_of_all(uow) == {ANNA: told(rows[2])}
        until = NOW + SECOND
        leased = live.lease_pending(expired_at=until, until=until, limit=9)
        assert leased == [rows[2]]
        assert live.flagged_pending_until(request_id("r")) == NOW
        assert live.mark_stored([row.record_id for row in rows], lease=until) == {rows[2].record_id}
        assert live.mark_stored(doomed, lease=NOW) == set()
        assert live.flagged_pending_until(request_id("r")) is None
        assert (live.count(), live.count(ANNA), live.count(BERT)) == (1, 1, 0)
        assert live.flagged(request_id("r")) == sorted(doomed)
        assert live.flagged(request_id("other")) == []
        assert live.record_ids_of(ANNA) == sorted(row.record_id for row in rows)


def test_the_live_rows_of_events_are_found_by_user_and_event(uows: SqlUnitsOfWork) -> None:
    mine, theirs = interaction("anna", "1"), interaction("bert", "1", item="2")
    gone = interaction("anna", "2")
    add(uows, mine, theirs, gone)
    with uows.write() as uow:
        uow.interactions.flag(request_id("r"), [gone.record_id])

    with uows.read() as uow:
        events = [
            (one.interaction.pseudonym, one.interaction.event_key) for one in (mine, theirs, gone)
        ]
        crossed = [(ANNA, interaction("bert", "3").interaction.event_key)]
        assert uow.interactions.find(events[:1] + events[2:] + crossed) == [mine]
        found = uow.interactions.find(events)
        assert {row.record_id for row in found} == {mine.record_id, theirs.record_id}
        assert uow.interactions.find([]) == []


def test_an_event_may_come_again_when_its_row_is_superseded(uows: SqlUnitsOfWork) -> None:
    old = interaction("anna", "1")
    new = replace(interaction("anna", "1", value=1.0), record_id=record_id("anna", "again"))
    add(uows, old)

    with uows.write() as uow:
        assert uow.interactions.supersede(request_id("r"), [old.record_id]) == 1
        assert uow.interactions.add([new], pending_until=NOW, received_at=NOW) == [new]
        assert uow.interactions.supersede(request_id("s"), [old.record_id]) == 0

    with uows.write() as uow:
        assert [entry.value for entry in uow.interactions.history(ANNA)] == [1.0]
        [trace] = uow.interactions.traces(ANNA, record_ids=[old.record_id])
        assert str(trace.event_key) == str(old.record_id)
        assert uow.interactions.delete_flagged(request_id("r")) == 1
        assert uow.interactions.record_ids_of(ANNA) == [new.record_id]


def test_a_flag_stays_with_the_first_request(uows: SqlUnitsOfWork) -> None:
    row = interaction("anna", "1")
    add(uows, row)

    with uows.write() as uow:
        assert uow.interactions.flag(request_id("first"), [row.record_id]) == 1
        assert uow.interactions.flag(request_id("second"), [row.record_id]) == 0
        assert uow.interactions.flagged(request_id("first")) == [row.record_id]


def test_unflagged_rows_are_live_again(uows: SqlUnitsOfWork) -> None:
    rows = [interaction("anna", str(n)) for n in range(3)]
    add(uows, *rows)

    with uows.write() as uow:
        uow.interactions.flag(request_id("r"), [rows[0].record_id])
        uow.interactions.flag(request_id("other"), [rows[1].record_id])
        assert uow.interactions.unflag(request_id("r")) == 1
        assert uow.interactions.count(ANNA) == 2
        assert uow.interactions.flagged(request_id("r")) == []


def test_all_rows_of_a_user_are_deleted_whoever_flagged_them(uows: SqlUnitsOfWork) -> None:
    rows = [interaction("anna", str(n)) for n in range(3)]
    add(uows, *rows, interaction("bert", "1"))

    with uows.write() as uow:
        uow.interactions.flag(request_id("r"), [rows[0].record_id])
        assert uow.interactions.delete_all_of(ANNA) == 3
        assert uow.interactions.record_ids_of(ANNA) == []
        assert uow.interactions.count() == 1


def test_only_the_requests_own_rows_are_deleted(uows: SqlUnitsOfWork) -> None:
    rows = [interaction("anna", str(n)) for n in range(3)]
    add(uows, *rows)

    with uows.write() as uow:
        uow.interactions.flag(request_id("r"), [rows[0].record_id])
        uow.interactions.flag(request_id("other"), [rows[1].record_id])
        assert uow.interactions.delete_flagged(request_id("r")) == 1
        assert uow.interactions.delete_flagged(request_id("r")) == 0
        kept = sorted([rows[1].record_id, rows[2].record_id])
        assert uow.interactions.record_ids_of(ANNA) == kept


def test_the_drain_learns_the_latest_pending_row(uows: SqlUnitsOfWork) -> None:
    early, late, stored = (interaction("anna", str(n), text="words") for n in range(3))
    add(uows, stored)
    with uows.write() as uow:
        assert uow.interactions.flagged_pending_until(request_id("r")) is None
        uow.interactions.flag(request_id("r"), [stored.record_id])
        assert uow.interactions.flagged_pending_until(request_id("r")) is None
        uow.interactions.add([early], pending_until=NOW, received_at=NOW)
        uow.interactions.add([late], pending_until=NOW + SECOND, received_at=NOW)
        uow.interactions.flag(request_id("r"), [early.record_id, late.record_id])

        assert uow.interactions.flagged_pending_until(request_id("r")) == NOW + SECOND


def test_evidence_is_all_that_was_said_of_items(uows: SqlUnitsOfWork) -> None:
    of_items = [
        interaction("anna", kind.value, kind=kind, item=kind.value, at=NOW + at * SECOND)
        for at, kind in enumerate(Kind)
        if kind is not Kind.NOTE
    ]
    again = interaction("anna", "again", kind=Kind.VIEW, item="view", value=None)
    note = interaction("anna", "note", kind=Kind.NOTE, item="note")
    nothing = interaction("bert", "none", kind=Kind.VIEW, item=None)
    add(uows, *of_items, again, note, nothing)
    expected = sorted(told(*of_items, again), key=str)

    with uows.read() as uow:
        found = uow.interactions.evidence([ANNA, BERT])
        assert sorted(found[ANNA], key=str) == expected
        assert found[BERT] == []
        assert uow.interactions.evidence([]) == {}
        [(who, everything)] = evidence_of_all(uow).items()
        assert (who, sorted(everything, key=str)) == (ANNA, expected)


def test_everybody_is_read_in_ranges_of_rows(
    uows: SqlUnitsOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows than are read at once, users mixed."""
    monkeypatch.setattr(everybody, "_IDS", 7)
    names = [f"user {n}" for n in range(50)]
    rows = [interaction(who, str(n), item=str(n)) for n in range(60) for who in names]
    add(uows, *rows)

    with uows.read() as uow:
        evidence = evidence_of_all(uow)

    items = sorted(str(n) for n in range(60))
    assert {who: sorted(one.item_id for one in said) for who, said in evidence.items()} == {
        user(who): items for who in names
    }


@pytest.mark.parametrize("other", [0.1, 2.5, -3.0, 1 / 3, 1e-300, 1.7e308, -1e12, None])
def test_every_rating_is_read_to_the_last_bit(uows: SqlUnitsOfWork, other: float | None) -> None:
    """Also those that are no whole thousandths, alone and beside some that are."""
    at = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    rows = [
        interaction("anna", str(n), item=str(n), value=value, at=at + n * SECOND)
        for n, value in enumerate([4.0, other, None, 3.7])
    ]
    add(uows, *rows)

    with uows.read() as uow:
        found = evidence_of_all(uow)

    assert {who: sorted(said, key=str) for who, said in found.items()} == {
        ANNA: sorted(told(*rows), key=str)
    }


def test_ids_of_items_are_read_as_they_are(uows: SqlUnitsOfWork, engine: Engine) -> None:
    """Also one that no caller can give, and that only SQLite would take."""
    ids = ["a\0b"] if engine.dialect.name == "sqlite" else []
    ids += ["a\1b", "a,b", "a b", "\u00e9", "\U0001f600", "'", "x" * 128]
    add(uows, *[interaction("anna", one, item=one) for one in ids])

    with uows.read() as uow:
        [found] = evidence_of_all(uow).values()

    assert sorted(one.item_id for one in found) == sorted(ids)


def test_evidence_is_of_one_moment_whatever_is_erased_while_it_is_read(
    uows: SqlUnitsOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two connections read at once, range by range, and the second one begins later."""
    monkeypatch.setattr(everybody, "_IDS", 1)
    add(uows, *[interaction("anna", str(n), item=str(n)) for n in range(6)])

    with uows.read() as uow:
        assert uow.changes.head() == 0
        with uows.write() as meanwhile:
            meanwhile.interactions.delete_all_of(ANNA)
            meanwhile.changes.append([ANNA])
        found = evidence_of_all(uow)

    assert len(found[ANNA]) == 6


def test_a_large_batch_is_one_call(uows: SqlUnitsOfWork) -> None:
    """Above every limit on the number of parameters: 65,535 on PostgreSQL, 32,766 on SQLite."""
    rows = [interaction("anna", str(n)) for n in range(7_000)]
    ids = [row.record_id for row in rows]

    with uows.write() as uow:
        added = uow.interactions.add(rows, pending_until=NOW, received_at=NOW)
        assert added == rows
        many = ids + [record_id("nobody", str(n)) for n in range(70_000)]
        assert uow.interactions.flag(request_id("r"), many) == 7_000
        assert uow.interactions.delete_flagged(request_id("r")) == 7_000


def test_whoever_has_a_right_in_force_is_no_evidence(uows: SqlUnitsOfWork) -> None:
    add(uows, interaction("anna", "1", item="a"), interaction("bert", "2", item="b"))
    with uows.write() as uow:
        uow.subjects.create(ANNA, epoch=1)
        uow.subjects.create(BERT, epoch=1)
        uow.subjects.set_rights(ANNA, {Right.OBJECTION, Right.RESTRICTION})

    with uows.read() as uow:
        of_bert = [Evidence(ItemId("b"), Kind.RATING, 4.0, NOW)]
        assert evidence_of_all(uow) == {BERT: of_bert}
        assert uow.interactions.evidence([ANNA, BERT]) == {ANNA: [], BERT: of_bert}
        assert [one.item_id for one in uow.interactions.history(ANNA)] == ["a"]
