"""What rows say of items and lists, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.models import Answered, Kind, Right
from app.domain.recommendation.opinion import OpinionRule
from app.ports.persistence.evidence import AnswerCount
from app.ports.persistence.records import NewInteraction
from tests.contract.persistence.sql_rows import NOW, interaction, request_id, user

DAY = timedelta(days=1)
RULE = OpinionRule()


def store(uows: SqlUnitsOfWork, *rows: NewInteraction) -> None:
    with uows.write() as uow:
        uow.interactions.add(rows, pending_until=NOW, received_at=NOW)


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ([(Kind.LIKE, None, 1)], True),
        ([(Kind.LIKE, None, 40)], False),
        ([(Kind.LIKE, None, 2), (Kind.DISLIKE, None, 1)], False),
        ([(Kind.LIKE, None, 40), (Kind.DISLIKE, None, 1)], False),
        ([(Kind.DISLIKE, None, 40), (Kind.LIKE, None, 1)], True),
        ([(Kind.DISLIKE, None, 40), (Kind.VIEW, None, 1)], False),
        ([(Kind.LIKE, None, 40), (Kind.VIEW, None, 1)], True),
        ([(Kind.RATING, 5.0, 2), (Kind.RATING, 1.0, 1)], False),
        ([(Kind.RATING, 5.0, 1), (Kind.RATING, 1.0, 1)], False),
        ([(Kind.RATING, 1.0, 2), (Kind.RATING, 4.0, 1)], True),
        ([(Kind.LIKE, None, 1), (Kind.RATING, 2.0, 1)], False),
        ([(Kind.LIKE, None, 1), (Kind.DISLIKE, None, 1)], False),
    ],
)
def test_the_opinion_that_decides_a_list_decides_what_is_popular_in_a_period(
    uows: SqlUnitsOfWork, told: list[tuple[Kind, float | None, int]], *, counts: bool
) -> None:
    rows = [
        interaction("ann", f"e{at}", kind=kind, value=value, at=NOW - days * DAY)
        for at, (kind, value, days) in enumerate(told)
    ]
    store(uows, *rows, interaction("bo", "b", at=NOW - DAY))

    with uows.read() as uow:
        found = uow.interactions.popularity(since=NOW - 30 * DAY, rule=RULE)
        everything = uow.interactions.popularity(since=NOW - 400 * DAY, rule=RULE)

    assert found == {"item": 1 + counts}
    liked = RULE.liked([row.interaction for row in rows])
    assert everything == {"item": 1 + len(liked)}


def test_answers_are_counted_from_live_rows_of_users_without_a_right(uows: SqlUnitsOfWork) -> None:
    def answer(who: str, event: str, answered: Answered, kind: Kind = Kind.VIEW) -> NewInteraction:
        row = interaction(who, event, kind=kind, item=f"item {event}")
        return replace(row, interaction=replace(row.interaction, answered=answered))

    home = Answered("a" * 16, "home", "retrieval", 1)
    store(
        uows,
        answer("ann", "1", home),
        answer("ann", "2", replace(home, position=4), Kind.LIKE),
        answer("bo", "3", replace(home, list_id="b" * 16)),
        answer("bo", "4", Answered("c" * 16, None, "popularity", 2)),
        answer("cy", "5", replace(home, list_id="d" * 16)),
        interaction("cy", "6"),
    )

    with uows.write() as uow:
        uow.subjects.create(user("cy"), epoch=1)
        uow.subjects.set_rights(user("cy"), {Right.RESTRICTION})
        uow.interactions.flag(request_id("r"), [interaction("bo", "4").record_id])
    with uows.read() as uow:
        found = uow.interactions.answers()
        of_ann = uow.interactions.answered(user("ann"))

    assert found == [
        AnswerCount("home", "retrieval", 2, {Kind.VIEW: 2, Kind.LIKE: 1}, {1: 2, 4: 1})
    ]
    assert sorted(one.position for one in of_ann.values()) == [1, 4]
