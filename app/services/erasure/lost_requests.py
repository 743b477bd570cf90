"""Requests that were accepted and that a restore from backup has lost."""

from __future__ import annotations

from app.domain.errors import AppError, NotFoundError, RequestLostError
from app.domain.models import RequestId
from app.ports.ledger import ErasureLedger
from app.ports.persistence.unit_of_work import UnitOfWork
from app.services.audit.certificates import CertificateService


def missing(
    uow: UnitOfWork,
    request_id: RequestId,
    ledger: ErasureLedger,
    *,
    certificates: CertificateService,
) -> AppError:
    """Return the error for an id without a row: the ledger knows what a restore has lost.

    Args:
        uow: the transaction that found no row.
        request_id: what was asked for.
        ledger: asked where the tombstones were not brought back yet.
        certificates: name the log that goes on.
    """
    if not (uow.tombstones.of([request_id]) or ledger.tombstones([request_id])):
        return NotFoundError("no erasure request has this id")
    told = "a restore lost this request; what it had erased is erased again"
    return RequestLostError(told, successor=certificates.origin(uow))
