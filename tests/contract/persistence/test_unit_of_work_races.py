"""What happens when several ask for the same at once, on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.erasure.request import ErasureRequest, Tombstone
from app.domain.errors import ConflictError, DependencyUnavailableError
from app.domain.models import Pseudonym, Subject
from app.ports.persistence.unit_of_work import UnitOfWork
from tests.contract.persistence.sql_rows import (
    NOW,
    at_once,
    hashed,
    interaction,
    leaf,
    new_request,
    record_id,
    request_id,
    user,
)

N_THREADS = 8
ROUNDS = 10
ANNA = user("anna")


def test_one_of_many_claims_wins(uows: SqlUnitsOfWork) -> None:
    names = [f"r{n}" for n in range(ROUNDS)]
    with uows.write() as uow:
        for name in names:
            uow.requests.add(new_request(name))

    def claim(number: int) -> list[ErasureRequest | None]:
        claims = []
        for name in names:
            with uows.write() as uow:
                lease_until = NOW + timedelta(seconds=10)
                owner = f"worker {number}"
                claims.append(
                    uow.requests.claim(
                        request_id(name), owner=owner, now=NOW, lease_until=lease_until
                    )
                )
        return claims

    by_thread = at_once(N_THREADS, claim)

    for attempts in zip(*by_thread, strict=True):
        won = [claim for claim in attempts if claim is not None]
        assert len(won) == 1
        assert won[0].fence == 1


def test_one_of_two_posts_with_one_key_wins(uows: SqlUnitsOfWork) -> None:
    def post(number: int) -> bool:
        try:
            with uows.write() as uow:
                uow.requests.add(new_request(f"r{number}", key="the same"))
        except ConflictError:
            return False
        return True

    assert sorted(at_once(2, post)) == [False, True]


def test_one_of_many_creations_wins_and_all_see_it(uows: SqlUnitsOfWork) -> None:
    def create(number: int) -> Subject:
        with uows.write() as uow:
            return uow.subjects.create(ANNA, epoch=number)

    created = at_once(N_THREADS, create)

    assert len(set(created)) == 1


def test_no_raise_of_an_epoch_is_lost(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.subjects.create(ANNA, epoch=0)

    def raise_epoch(_: int) -> list[int]:
        epochs = []
        for _ in range(ROUNDS):
            with uows.write() as uow:
                before = uow.subjects.lock(ANNA)
                assert before is not None
                epochs.append(uow.subjects.raise_epoch(ANNA, status=None))
                assert epochs[-1] == before.epoch + 1
        return epochs

    given = [epoch for epochs in at_once(N_THREADS, raise_epoch) for epoch in epochs]

    assert sorted(given) == list(range(1, N_THREADS * ROUNDS + 1))


def lock_alone(uow: UnitOfWork, who: Pseudonym) -> Subject | None:
    return uow.subjects.lock(who)


def lock_with_others(uow: UnitOfWork, who: Pseudonym) -> Subject | None:
    return uow.subjects.lock_all([user("nobody"), who, user("no one")]).get(who)


Lock = Callable[[UnitOfWork, Pseudonym], Subject | None]
both_locks = pytest.mark.parametrize("lock", [lock_alone, lock_with_others])


@both_locks
def test_a_locked_subject_changes_for_nobody_else(database_url: str, lock: Lock) -> None:
    """Also for somebody who does not lock first."""
    first = SqlUnitsOfWork(open_engine(database_url))
    second = SqlUnitsOfWork(open_engine(database_url, lock_timeout_s=0.2))
    with first.write() as uow:
        uow.subjects.create(ANNA, epoch=0)

    with first.write() as uow:
        assert lock(uow, ANNA) == uow.subjects.get(ANNA)
        with pytest.raises(DependencyUnavailableError), second.write() as other:
            other.subjects.raise_epoch(ANNA, status=None)

    first.close()
    second.close()


@both_locks
def test_a_first_interaction_and_an_erasure_take_turns(uows: SqlUnitsOfWork, lock: Lock) -> None:
    """Of a user without a row, whom a row lock could not hold.

    Whoever is second must see what the first did: the tombstone, or the subject.
    """
    stone = Tombstone(hashed("token"), request_id("r"), NOW)

    def take_turn(number: int, *, who: Pseudonym) -> bool:
        with uows.write() as uow:
            subject = lock(uow, who)
            if number == 0:
                uow.tombstones.add([stone])
                return subject is not None
            saw = bool(uow.tombstones.find([stone.token]))
            uow.subjects.create(who, epoch=1)
            return saw

    for n in range(ROUNDS):
        turn = partial(take_turn, who=user(f"user {n}"))
        forgot_saw, ingest_saw = at_once(2, turn)
        assert forgot_saw is not ingest_saw
        with uows.write() as uow:
            uow.tombstones.remove_of(stone.request_id)


def test_batches_with_common_rows_insert_each_once(uows: SqlUnitsOfWork) -> None:
    rows = [interaction("anna", str(n)) for n in range(300)]

    def add(number: int) -> int:
        turned = [
            replace(one, record_id=record_id(f"writer {number}", one.record_id))
            for one in rows[number * 30 :] + rows[: number * 30]
        ]
        with uows.write() as uow:
            return len(uow.interactions.add(turned, pending_until=NOW, received_at=NOW))

    assert sum(at_once(N_THREADS, add)) == 300


def test_change_numbers_appear_in_order(uows: SqlUnitsOfWork) -> None:
    """A reader that follows the feed meets every number once, without a gap."""
    total = N_THREADS * ROUNDS
    is_over = threading.Event()

    def follow() -> list[int]:
        met: list[int] = []
        while len(met) < total and not is_over.is_set():
            with uows.read() as uow:
                met += [one.seq for one in uow.changes.since(met[-1] if met else 0, limit=9)]
        return met

    def append(number: int) -> list[int]:
        if number == N_THREADS:
            return follow()
        for _ in range(ROUNDS):
            with uows.write() as uow:
                uow.changes.append([ANNA])
                uow.subjects.count()  # something between the number and the commit
        return []

    stop = threading.Timer(60, is_over.set)
    stop.start()
    met = at_once(N_THREADS + 1, append)[-1]
    stop.cancel()

    assert met == list(range(1, total + 1))


def test_the_log_has_no_gap_and_follows_the_commits(uows: SqlUnitsOfWork) -> None:
    def append(number: int) -> list[int]:
        seqs = []
        for n in range(ROUNDS):
            with uows.write() as uow:
                seqs += uow.audit.append([leaf(f"{number}/{n}"), leaf(f"{number}/{n}")])
        return seqs

    given = [seq for seqs in at_once(N_THREADS, append) for seq in seqs]

    total = N_THREADS * ROUNDS * 2
    assert sorted(given) == list(range(total))
    with uows.read() as uow:
        assert uow.audit.size() == total
        page = uow.audit.page(after=-1, limit=total, kind=None, request_id=None)
    assert [stored.seq for stored in page] == list(range(total))


def test_feed_and_log_never_wait_for_each_other(uows: SqlUnitsOfWork) -> None:
    """In whichever order a transaction appends to the two."""

    def append(number: int) -> None:
        for _ in range(ROUNDS):
            with uows.write() as uow:
                if number % 2:
                    uow.changes.append([ANNA])
                    uow.audit.append([leaf("r")])
                else:
                    uow.audit.append([leaf("r")])
                    uow.changes.append([ANNA])

    at_once(N_THREADS, append)

    with uows.read() as uow:
        assert (uow.changes.head(), uow.audit.size()) == (N_THREADS * ROUNDS, N_THREADS * ROUNDS)


def test_every_look_that_found_something_is_counted(uows: SqlUnitsOfWork) -> None:
    def note(number: int) -> None:
        with uows.write() as uow:
            uow.rechecks.note_returned(number + 1)
            time.sleep(0.1)  # so that the others come before the commit

    at_once(3, note)

    with uows.read() as uow:
        assert uow.rechecks.n_returned() == 1 + 2 + 3
