"""Tombstones, on both databases."""

from __future__ import annotations

from dataclasses import replace

from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.erasure.request import Tombstone
from tests.contract.persistence.sql_rows import NOW, SECOND, hashed, request_id

TOKEN = hashed("token")
FIRST = Tombstone(TOKEN, request_id("first"), NOW, epoch=3)
SECOND_ONE = Tombstone(TOKEN, request_id("second"), NOW + SECOND, epoch=2)
PERIOD = Tombstone(TOKEN, request_id("first"), NOW, erased_from=NOW - SECOND)


def test_a_tombstone_comes_back_exactly(uows: SqlUnitsOfWork) -> None:
    other = replace(FIRST, token=hashed("other"))
    with uows.write() as uow:
        uow.tombstones.add([FIRST, other])
        uow.tombstones.add([])

    with uows.read() as uow:
        assert uow.tombstones.find([TOKEN, hashed("none")]) == {TOKEN: [FIRST]}
        assert uow.tombstones.find({TOKEN, other.token}) == {TOKEN: [FIRST], other.token: [other]}
        assert uow.tombstones.find([]) == {}


def test_the_same_token_keeps_the_widest_bounds(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.tombstones.add([SECOND_ONE])
        uow.tombstones.add([FIRST])
        assert uow.tombstones.find([TOKEN]) == {TOKEN: [replace(SECOND_ONE, epoch=3)]}


def test_a_repeat_never_narrows(uows: SqlUnitsOfWork) -> None:
    narrow = replace(FIRST, erased_before=NOW - SECOND, epoch=0)
    with uows.write() as uow:
        uow.tombstones.add([FIRST])
        uow.tombstones.add([narrow, narrow])
        assert uow.tombstones.find([TOKEN]) == {TOKEN: [FIRST]}
        wide = replace(FIRST, erased_before=NOW + SECOND, epoch=9)
        uow.tombstones.add([wide, narrow])
        assert uow.tombstones.find([TOKEN]) == {TOKEN: [wide]}


def test_periods_stay_apart(uows: SqlUnitsOfWork) -> None:
    other = replace(PERIOD, request_id=request_id("second"))
    later = replace(PERIOD, erased_from=NOW, erased_before=NOW + SECOND)
    with uows.write() as uow:
        uow.tombstones.add([later, other, PERIOD])
        found = uow.tombstones.find([TOKEN])[TOKEN]

    assert len(found) == 3
    assert set(found) == {PERIOD, other, later}


def test_removing_a_request_leaves_the_others_bounds(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.tombstones.add([FIRST])
        uow.tombstones.add([SECOND_ONE])

        assert uow.tombstones.remove_of(request_id("second")) == 1

        assert uow.tombstones.find([TOKEN]) == {TOKEN: [FIRST]}
        assert uow.tombstones.remove_of(request_id("none")) == 0
