"""Receipt, salt, sealed needles and certificate of each erasure request, in SQL."""

from __future__ import annotations

import sqlalchemy as sa

from app.adapters.db.session import Repository
from app.adapters.db.tables import erasure_document
from app.domain.models import RequestId
from app.ports.persistence.documents import ErasureDocuments


class SqlDocuments(Repository):
    """Documents by request."""

    def add(self, request_id: RequestId, documents: ErasureDocuments) -> None:
        self.session.connection.execute(
            sa.insert(erasure_document).values(
                request_id=request_id,
                receipt=documents.receipt,
                salt=documents.salt,
                state_before=documents.state_before,
            )
        )

    def get(self, request_id: RequestId) -> ErasureDocuments | None:
        row = self.session.first(
            sa.select(erasure_document).where(erasure_document.c.request_id == request_id)
        )
        if row is None:
            return None
        return ErasureDocuments(
            receipt=row.receipt,
            salt=row.salt,
            state_before=row.state_before,
            needles=row.needles,
            certificate=row.certificate,
        )

    def keep_needles(self, request_id: RequestId, sealed: str) -> None:
        self.session.changed(
            sa.update(erasure_document)
            .where(
                erasure_document.c.request_id == request_id, erasure_document.c.needles.is_(None)
            )
            .values(needles=sealed)
        )

    def drop_salt(self, request_id: RequestId) -> None:
        self._update(request_id, salt=None)

    def complete(self, request_id: RequestId, *, certificate: str) -> None:
        self._update(request_id, certificate=certificate)

    def drop_needles(self, request_id: RequestId) -> None:
        self._update(request_id, needles=None)

    def certified_with_needles(self, *, limit: int) -> list[RequestId]:
        one = erasure_document.c
        rows = self.session.rows(
            sa.select(one.request_id)
            .where(one.certificate.is_not(None), one.needles.is_not(None))
            .limit(limit)
        )
        return [RequestId(row.request_id) for row in rows]

    def _update(self, request_id: RequestId, **values: str | None) -> None:
        self.session.changed(
            sa.update(erasure_document)
            .where(erasure_document.c.request_id == request_id)
            .values(**values)
        )
