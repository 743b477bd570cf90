"""Compares rows with what an editor of the database cannot write: signatures, and the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

from app.domain.audit.checkpoint import IsSigned, VerifierKey
from app.domain.audit.entries import LeafKind, StoredLeaf
from app.domain.certificates.certificate import Certificate
from app.domain.certificates.signed_document import trusted_chain
from app.domain.erasure.request import Tombstone
from app.domain.errors import InvalidInputError
from app.domain.models import RequestId
from app.ports.ledger import ErasureLedger
from app.ports.persistence.unit_of_work import UnitOfWork
from app.ports.signer import Signer
from app.services.audit.continuity import Standing

_PAGE: Final = 500


class OutsideEvidence:
    """Finds changed certificates and tombstones, and a log that is older than what was signed.

    Args:
        standing: how the log stands to the newest checkpoint outside.
    """

    def __init__(
        self,
        *,
        signer: Signer,
        is_signed: IsSigned,
        ledger: ErasureLedger,
        standing: Callable[[], Standing],
    ) -> None:
        self._signer = signer
        self._is_signed = is_signed
        self._ledger = ledger
        self._standing = standing

    def problems(self, uow: UnitOfWork) -> Iterator[str]:
        """Yield, in one sentence each, what contradicts the rows.

        Raises:
            DependencyUnavailableError: the keys or the ledger do not answer.
        """
        standing = self._standing()
        if standing is not Standing.CONTINUED:
            yield f"the log is not the one that was signed last: {standing.value}"
        yield from self._certificates(uow)
        yield from self._tombstones(uow)

    def _certificates(self, uow: UnitOfWork) -> Iterator[str]:
        chain, after = trusted_chain(self._signer.current(), is_signed=self._is_signed), -1
        kind = LeafKind.FORGET_COMPLETED
        while leaves := uow.audit.page(after=after, limit=_PAGE, kind=kind, request_id=None):
            after = leaves[-1].seq
            for leaf in leaves:
                body = json.loads(leaf.body)
                papers = uow.documents.get(RequestId(body["request_id"]))
                text = papers.certificate if papers else None
                if text is not None and not self._is_genuine(text, leaf=leaf, chain=chain):
                    yield f"request {body['request_id']}: its certificate was changed"

    def _is_genuine(self, text: str, *, leaf: StoredLeaf, chain: tuple[VerifierKey, ...]) -> bool:
        try:
            certificate = Certificate.decode(text.encode())
        except InvalidInputError:
            return False
        said = json.loads(leaf.body)["payload"].get("statement")
        is_said = certificate.statement.digest().hex() == said
        return is_said and certificate.is_signed_by(chain, is_signed=self._is_signed)

    def _tombstones(self, uow: UnitOfWork) -> Iterator[str]:
        """Check that what the ledger knows is refused at least as widely by the rows."""
        known = sorted(self._ledger.request_ids())
        for start in range(0, len(known), _PAGE):
            ids = known[start : start + _PAGE]
            rows = {(one.request_id, one.token): one for one in uow.tombstones.of(ids)}
            kept = self._ledger.tombstones(ids)
            held = uow.tombstones.unknown(ids)  # a restore lacks them: that is repaired apart
            changed = {one.request_id for one in kept if not _covers(rows, one)} - held
            for request_id in sorted(changed):
                yield f"request {request_id}: its tombstones are not those beside the keys"


def _covers(rows: dict[tuple[RequestId, str], Tombstone], kept: Tombstone) -> bool:
    row = rows.get((kept.request_id, kept.token))
    return (
        row is not None
        and row.erased_from == kept.erased_from
        and row.erased_before >= kept.erased_before
        and row.epoch >= kept.epoch
    )
