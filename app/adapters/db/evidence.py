"""What rows of interactions say of items and lists, of one user and of all: counted, never kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from app.adapters.db.everybody import rows_of
from app.adapters.db.session import Record, Repository
from app.adapters.db.tables import interaction, subject
from app.domain.models import Answered, ItemId, Kind, Pseudonym, RecordId
from app.domain.recommendation.everybody import Rows
from app.domain.recommendation.opinion import Evidence, OpinionRule
from app.ports.persistence.evidence import AnswerCount

_KINDS: Final = {kind.value: kind for kind in Kind}

_row = interaction.c
LIVE: Final = _row.erased_by.is_(None)
"""Rows that no erasure has flagged."""
_WITHHELD: Final = sa.select(subject.c.pseudonym).where(subject.c.rights.is_not(None))
_SAID: Final = sa.select(
    _row.pseudonym, _row.item_id, _row.kind, _row.value, _row.occurred_at
).where(LIVE, _row.kind != Kind.NOTE.value, _row.item_id.is_not(None))
_EVIDENCE: Final = _SAID.where(_row.pseudonym.not_in(_WITHHELD))

_LIST: Final = (_row.list_id, _row.list_scenario, _row.list_variant, _row.list_position)
_COUNTED: Final = sa.select(_row.record_id).where(
    LIVE, _row.list_variant.is_not(None), _row.pseudonym.not_in(_WITHHELD)
)


class SqlEvidence(Repository):
    """What live rows say."""

    def evidence(self, pseudonyms: Sequence[Pseudonym]) -> dict[Pseudonym, list[Evidence]]:
        found: dict[Pseudonym, list[Evidence]] = {pseudonym: [] for pseudonym in pseudonyms}
        withheld = _WITHHELD.where(self.session.in_partitions(subject.c.pseudonym, of=found))
        theirs = self.session.within(_row.pseudonym, found)
        # SQLAlchemy takes longer to read a type of ours than SQLite takes to find a row.
        at, read = self.session.unread(_row.occurred_at)
        columns = (_row.pseudonym, _row.item_id, _row.kind, _row.value, at)
        statement = _SAID.with_only_columns(*columns)
        statement = statement.where(theirs, _row.pseudonym.not_in(withheld))
        for pseudonym, item, kind, value, at in self.session.plain(statement):
            found[pseudonym].append(Evidence(item, _KINDS[kind], value, read(at)))
        return found

    def all_rows(self) -> Iterator[Rows]:
        # To look each user up among nobody would be a fifth of the reading.
        is_anybody = self.session.first(_WITHHELD.limit(1)) is not None
        return rows_of(self.session, _EVIDENCE if is_anybody else _SAID)

    def popularity(self, *, since: datetime, rule: OpinionRule) -> dict[ItemId, int]:
        heard = _row.kind.in_([kind.value for kind in rule.positive | rule.negative])
        touched = _EVIDENCE.with_only_columns(_row.pseudonym, _row.item_id).where(
            _row.occurred_at >= since, heard
        )
        pairs = touched.distinct().subquery()
        # Of a user's opinions of an item the same one decides as in ``OpinionRule.opinions``.
        rating = sa.case((_row.kind == Kind.RATING.value, _row.value))
        place = sa.func.row_number().over(
            partition_by=[_row.pseudonym, _row.item_id],
            order_by=[
                _row.kind == Kind.VIEW.value,
                _row.occurred_at.desc(),
                _row.kind.not_in([kind.value for kind in rule.negative]),
                rating.asc().nulls_last(),
            ],
        )
        ranked = (
            _EVIDENCE.with_only_columns(
                _row.item_id, _row.kind, rating.label("rating"), place.label("place")
            )
            .join(
                pairs,
                (pairs.c.pseudonym == _row.pseudonym) & (pairs.c.item_id == _row.item_id),
            )
            .where(heard)
            .subquery()
        )
        speaks_for = ranked.c.kind.in_([kind.value for kind in rule.positive]) & (
            ranked.c.rating.is_(None) | (ranked.c.rating >= rule.least_rating)
        )
        statement = sa.select(ranked.c.item_id, sa.func.count()).where(
            ranked.c.place == 1, speaks_for
        )
        rows = self.session.rows(statement.group_by(ranked.c.item_id))
        return {row[0]: int(row[1]) for row in rows}

    def answers(self) -> list[AnswerCount]:
        by_list = (_row.list_scenario, _row.list_variant)
        told = _COUNTED.with_only_columns(*by_list, sa.func.count(_row.list_id.distinct()))
        lists = list(self.session.rows(told.group_by(*by_list)))
        by_kind: dict[tuple[str | None, str], Counter[Kind]] = defaultdict(Counter)
        by_position: dict[tuple[str | None, str], Counter[int]] = defaultdict(Counter)
        parts = (*by_list, _row.kind, _row.list_position)
        told = _COUNTED.with_only_columns(*parts, sa.func.count())
        for scenario, variant, kind, position, count in self.session.rows(told.group_by(*parts)):
            by_kind[scenario, variant][_KINDS[kind]] += count
            by_position[scenario, variant][position] += count
        return [
            AnswerCount(name, variant, count, by_kind[name, variant], by_position[name, variant])
            for name, variant, count in sorted(lists, key=lambda one: (one[0] or "", one[1]))
        ]

    def answered(self, pseudonym: Pseudonym) -> dict[RecordId, Answered]:
        told = sa.select(_row.record_id, *_LIST).where(
            owned_by(pseudonym), LIVE, _row.list_id.is_not(None)
        )
        return {
            RecordId(row.record_id): answered
            for row in self.session.rows(told)
            if (answered := answered_in(row)) is not None
        }


def owned_by(pseudonym: Pseudonym) -> ColumnElement[bool]:
    """Return the condition that a row is a user's."""
    return _row.pseudonym == pseudonym


def answered_in(row: Record) -> Answered | None:
    """Return which list a row answers; None for none."""
    if row.list_id is None:
        return None
    return Answered(row.list_id, row.list_scenario, row.list_variant, row.list_position)


def answer_values(told: Answered | None) -> dict[str, object]:
    """Return the columns that say which list a row answers; the inverse of ``answered_in``."""
    return {
        "list_id": told and told.list_id,
        "list_scenario": told and told.scenario,
        "list_variant": told and told.variant,
        "list_position": told and told.position,
    }
