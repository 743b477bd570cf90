"""Users in SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from app.adapters.db.session import Record, Repository
from app.adapters.db.tables import metadata, subject
from app.domain.errors import DependencyUnavailableError, IntegrityError
from app.domain.models import Consent, Pseudonym, Right, Subject, SubjectStatus

_CREATE_ATTEMPTS: Final = 3  # each needs somebody who inserts and deletes in between
_GET_SUBJECT: Final = sa.select(subject).where(subject.c.pseudonym == sa.bindparam("pseudonym"))
_LOCK_SUBJECT: Final = _GET_SUBJECT.with_for_update()
_LOCK_NAME: Final = sa.select(
    sa.func.pg_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger))
)
_KEYS: Final = sa.bindparam("keys", type_=postgresql.ARRAY(sa.BigInteger))
_LOCK_NAMES: Final = sa.select(
    sa.func.pg_advisory_xact_lock(sa.func.unnest(_KEYS).column_valued("key"))
)


class SqlSubjects(Repository):
    """Users."""

    def get(self, pseudonym: Pseudonym) -> Subject | None:
        return subject_of(self.session.first(_GET_SUBJECT, {"pseudonym": pseudonym}))

    def lock(self, pseudonym: Pseudonym) -> Subject | None:
        """SQLite has one writer at a time, so there it is a plain read."""
        if self.session.is_postgres:
            # A row that does not exist yet cannot be locked; its name can.
            self.session.first(_LOCK_NAME, {"key": _signed_64_bits(pseudonym)})
        return subject_of(self.session.first(_LOCK_SUBJECT, {"pseudonym": pseudonym}))

    def lock_all(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, Subject]:
        """Two statements, whatever the number of users."""
        ordered = sorted(pseudonyms)
        if self.session.is_postgres:
            self.session.rows(_LOCK_NAMES, {"keys": [_signed_64_bits(one) for one in ordered]})
        theirs = self.session.within(subject.c.pseudonym, ordered)
        statement = sa.select(subject).where(theirs).order_by(subject.c.pseudonym)
        found = map(subject_of, self.session.rows(statement.with_for_update()))
        return {one.pseudonym: one for one in found if one is not None}

    def create(
        self, pseudonym: Pseudonym, *, epoch: int, consent: Consent | None = None
    ) -> Subject:
        insert = (
            self.session.insert(subject)
            .values(
                pseudonym=pseudonym,
                status=SubjectStatus.ACTIVE.value,
                epoch=epoch,
                consent_at=consent.at if consent else None,
                consent_source=consent.source if consent else None,
            )
            .on_conflict_do_nothing()
            .returning(*subject.c)
        )
        for _ in range(_CREATE_ATTEMPTS):
            found = subject_of(self.session.first(insert)) or self.lock(pseudonym)
            if found is not None:
                return found
        raise DependencyUnavailableError("a user's row was changed by others; try again")

    def raise_epoch(self, pseudonym: Pseudonym, *, status: SubjectStatus | None) -> int:
        values: dict[str, Any] = {"epoch": subject.c.epoch + 1}
        if status is not None:
            values["status"] = status.value
        row = self.session.first(
            sa.update(subject)
            .where(subject.c.pseudonym == pseudonym)
            .values(values)
            .returning(subject.c.epoch)
        )
        if row is None:
            raise IntegrityError("the epoch of a user without a row cannot be raised")
        return int(row.epoch)

    def set_rights(self, pseudonym: Pseudonym, rights: Collection[Right]) -> None:
        self._set(pseudonym, rights=" ".join(sorted(rights)) or None)

    def set_hold(self, pseudonym: Pseudonym, hold: str | None) -> None:
        self._set(pseudonym, hold=hold)

    def _set(self, pseudonym: Pseudonym, **values: str | None) -> None:
        update = sa.update(subject).where(subject.c.pseudonym == pseudonym)
        if self.session.changed(update.values(values)) != 1:
            raise IntegrityError("what holds of a user without a row cannot be set")

    def delete(self, pseudonym: Pseudonym) -> int:
        return self.session.changed(sa.delete(subject).where(subject.c.pseudonym == pseudonym))

    def known(self, pseudonyms: Collection[Pseudonym]) -> set[Pseudonym]:
        theirs = self.session.within(subject.c.pseudonym, pseudonyms)
        rows = self.session.rows(sa.select(subject.c.pseudonym).where(theirs))
        return {Pseudonym(row.pseudonym) for row in rows}

    def active(self) -> set[Pseudonym]:
        staying = subject.c.status != SubjectStatus.ERASING.value
        rows = self.session.rows(sa.select(subject.c.pseudonym).where(staying))
        return {Pseudonym(row.pseudonym) for row in rows}

    def count(self) -> int:
        return self.session.number(sa.select(sa.func.count()).select_from(subject))

    def mentions(self, pseudonym: Pseudonym) -> dict[str, int]:
        """Read from the tables' definitions, so that no new one is left out."""
        return {
            table.name: self.session.number(
                sa.select(sa.func.count()).select_from(table).where(table.c.pseudonym == pseudonym)
            )
            for table in metadata.sorted_tables
            if "pseudonym" in table.c
        }


def _signed_64_bits(pseudonym: Pseudonym) -> int:
    return int.from_bytes(hashlib.sha256(pseudonym.encode()).digest()[:8], signed=True)


def subject_of(row: Record | None) -> Subject | None:
    """Return the user of a row."""
    if row is None:
        return None
    rights = frozenset(map(Right, (row.rights or "").split()))
    consent = Consent(row.consent_at, row.consent_source) if row.consent_at else None
    return Subject(
        row.pseudonym, SubjectStatus(row.status), row.epoch, rights, consent, hold=row.hold
    )
