"""What belongs to an erasure request besides its state: receipt, salt, needles, certificate.

Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.domain.models import RequestId


@dataclass(frozen=True, slots=True)
class ErasureDocuments:
    """The documents of one request.

    Args:
        receipt: canonical JSON without its salt.
        salt: 64 hex digits, opens the commitment in receipt and certificate; None once the
            data are erased: from then on only the receipt's holder has it.
        state_before: 64 hex digits, the recommender's state hash when the request came; None
            where no process was serving.
        needles: sealed; what the probe must look for. None before they are collected, and from
            the moment after completion at which their key is destroyed.
        certificate: canonical JSON without a salt; None before completion.
    """

    receipt: str
    salt: str | None
    state_before: str | None
    needles: str | None = None
    certificate: str | None = None


class Documents(Protocol):
    """Documents by request."""

    def add(self, request_id: RequestId, documents: ErasureDocuments) -> None:
        """Insert what is known when the request is accepted."""

    def get(self, request_id: RequestId) -> ErasureDocuments | None:
        """Return the documents."""

    def keep_needles(self, request_id: RequestId, sealed: str) -> None:
        """Store sealed needles until the erasure ends; does nothing if some are stored already."""

    def drop_salt(self, request_id: RequestId) -> None:
        """Destroy the salt."""

    def complete(self, request_id: RequestId, *, certificate: str) -> None:
        """Store the certificate.

        The needles stay until ``drop_needles``, as a sign that their key is still to be destroyed.
        """

    def drop_needles(self, request_id: RequestId) -> None:
        """Remove the sealed needles, once their key is destroyed."""

    def certified_with_needles(self, *, limit: int) -> list[RequestId]:
        """Return requests that have their certificate and still their needles, too."""
