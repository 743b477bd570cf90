"""The statement that a certificate signs: what was erased where, and what the search found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Self

from app.domain.audit.entries import LeafValue
from app.domain.canonical_json import canonical_json
from app.domain.certificates.signed_document import SubjectCommitment
from app.domain.erasure.scope import SCOPE_KINDS
from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import RequestId
from app.domain.strict_fields import Fields, format_time

CERTIFICATE_FORMAT: Final = "lethe-certificate/v1"
_STATE_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class StoreCount:
    """How many of the request's records a store held before and holds after."""

    store: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """What the search of a store's raw bytes found.

    Args:
        needles: byte patterns searched for.
        scanned_bytes: bytes read.
        control_found: whether the canaries planted beforehand were found, without which
            "nothing found" would mean nothing.
        residue: patterns found that should be gone.
    """

    store: str
    needles: int
    scanned_bytes: int
    control_found: bool
    residue: int


@dataclass(frozen=True, slots=True)
class Limit:
    """Something the certificate does not claim."""

    code: str
    text: str


STANDARD_LIMITS: Final = (
    Limit("backups", "Copies that the operator made outside this service, such as backups."),
    Limit("media", "Blocks that a disk, a file system, swap or memory keeps out of files' reach."),
    Limit("recipients", "Copies that others received before the request, the caller included."),
)
"""What no search of one's own files can show; docs/audit.md explains each."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What every certificate of one deployment says of it.

    Args:
        release: version of the service and the commit it was built from.
        config: SHA-256 over its settings without secrets, hex.
        reach: what its searches can read, and what not, in words.
        limits: what it does not claim besides the standard limits.
        policy: its witnesses, as c2sp.org/tlog-policy; None without any.
    """

    release: str
    config: str
    reach: str
    limits: tuple[Limit, ...] = STANDARD_LIMITS
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class CertificateStatement:
    """What the service says it has erased. Holds no user id, no pseudonym and no content.

    Args:
        origin: the audit log's name.
        stores: counts of what the scope covers, one for each store.
        probes: findings, one for each store that was searched.
        state_before: SHA-256 over the recommender's state before, 32 bytes.
        state_after: the same after.
        limits: what is not claimed.
        release: which version of the service erased; empty in certificates from before 0038.
        reach: what the search could read, and what not, in words; likewise.
        n_records: how many records were held in the scope when it was received; 0: nothing was.
        requested_at: when the person asked, which starts the clock.
        first_due_at: the due date before an extension. The three are None, and left out, in
            certificates from before they were told.
    """

    origin: str
    request_id: RequestId
    scope_kind: str
    subject: SubjectCommitment
    received_at: datetime
    due_at: datetime
    completed_at: datetime
    stores: tuple[StoreCount, ...]
    probes: tuple[ProbeFinding, ...]
    state_before: bytes
    state_after: bytes
    limits: tuple[Limit, ...] = STANDARD_LIMITS
    release: str = ""
    reach: str = ""
    n_records: int | None = None
    requested_at: datetime | None = None
    first_due_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a statement of an incomplete erasure: fail closed."""
        problems = tuple(self._problems())
        if problems:
            raise InvalidInputError(*problems)

    def _problems(self) -> Iterator[FieldError]:
        if self.scope_kind not in SCOPE_KINDS:
            yield FieldError("statement.scope_kind", "no such scope")
        if self.completed_at < self.received_at:
            yield FieldError("statement.completed_at", "before received_at")
        if self.first_due_at is not None and self.due_at < self.first_due_at:
            yield FieldError("statement.due_at", "before first_due_at")
        if not self.stores or not self.probes:
            yield FieldError("statement", "no stores, or no probes")
        for number, store in enumerate(self.stores):
            if store.after:
                yield FieldError(f"statement.stores.{number}.after", "records are left")
        yield from self._doubts()

    def _doubts(self) -> Iterator[FieldError]:
        for number, probe in enumerate(self.probes):
            if probe.residue:
                yield FieldError(f"statement.probes.{number}.residue", "residue was found")
            if not probe.control_found:
                yield FieldError(
                    f"statement.probes.{number}.control_found", "the planted control was not found"
                )

    @property
    def is_late(self) -> bool:
        """Whether it was completed after it was due."""
        return self.completed_at > self.due_at

    def digest(self) -> bytes:
        """Return SHA-256 over the canonical statement, 32 bytes; stands in the log's leaf."""
        return hashlib.sha256(canonical_json(self.to_json())).digest()

    def leaf_payload(self) -> dict[str, LeafValue]:
        """Return what the leaf of completion holds; the verifier compares it."""
        return {
            "n_erased": sum(store.before for store in self.stores),
            "residue": 0,
            "scope": self.scope_kind,
            "statement": self.digest().hex(),
            "subject": self.subject.commitment.hex(),
        }

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        told = {"reach": self.reach, "release": self.release}
        found: dict[str, object] = {name: text for name, text in told.items() if text} | {
            "completed_at": format_time(self.completed_at),
            "due_at": format_time(self.due_at),
            "format": CERTIFICATE_FORMAT,
            "limits": [asdict(each) for each in self.limits],
            "origin": self.origin,
            "probes": [asdict(each) for each in self.probes],
            "received_at": format_time(self.received_at),
            "request_id": self.request_id,
            "scope_kind": self.scope_kind,
            "state_after": self.state_after.hex(),
            "state_before": self.state_before.hex(),
            "stores": [asdict(each) for each in self.stores],
            "subject": self.subject.to_json(),
        }
        if self.n_records is not None:
            found["n_records"] = self.n_records
        if self.requested_at is not None:
            found["requested_at"] = format_time(self.requested_at)
        if self.first_due_at is not None:
            found["first_due_at"] = format_time(self.first_due_at)
        return found

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the JSON form; errors name the field."""
        fields.constant("format", expected=CERTIFICATE_FORMAT)
        statement = cls(
            origin=fields.text("origin"),
            request_id=RequestId(fields.text("request_id")),
            scope_kind=fields.text("scope_kind"),
            subject=SubjectCommitment.from_fields(fields.inner("subject")),
            received_at=fields.time("received_at"),
            due_at=fields.time("due_at"),
            completed_at=fields.time("completed_at"),
            stores=tuple(map(_store, fields.inner_list("stores"))),
            probes=tuple(map(_probe, fields.inner_list("probes"))),
            state_before=fields.hex_bytes("state_before", n_bytes=_STATE_HASH_BYTES),
            state_after=fields.hex_bytes("state_after", n_bytes=_STATE_HASH_BYTES),
            limits=tuple(map(_limit, fields.inner_list("limits"))),
            release=fields.text("release") if "release" in fields else "",
            reach=fields.text("reach") if "reach" in fields else "",
            n_records=fields.count("n_records") if "n_records" in fields else None,
            requested_at=fields.time("requested_at") if "requested_at" in fields else None,
            first_due_at=fields.time("first_due_at") if "first_due_at" in fields else None,
        )
        fields.finish()
        return statement


def _store(fields: Fields) -> StoreCount:
    count = StoreCount(fields.text("store"), fields.count("before"), fields.count("after"))
    fields.finish()
    return count


def _probe(fields: Fields) -> ProbeFinding:
    finding = ProbeFinding(
        store=fields.text("store"),
        needles=fields.count("needles"),
        scanned_bytes=fields.count("scanned_bytes"),
        control_found=fields.flag("control_found"),
        residue=fields.count("residue"),
    )
    fields.finish()
    return finding


def _limit(fields: Fields) -> Limit:
    limit = Limit(fields.text("code"), fields.text("text"))
    fields.finish()
    return limit
