"""What the restore guard keeps in SQL."""

from __future__ import annotations

import sqlalchemy as sa

from app.adapters.db import counters
from app.adapters.db.session import Repository
from app.adapters.db.tables import erasure_request, replay
from app.domain.erasure.request import FINAL
from app.domain.models import RequestId


class SqlRestores(Repository):
    """Erasures that are repeated after a restore, and the vector store's mark."""

    def add(self, request_id: RequestId) -> None:
        self.session.changed(self.session.insert(replay).values(request_id=request_id))

    def n_open(self) -> int:
        request = erasure_request.c
        repeated = sa.select(replay.c.request_id)
        return self.session.number(
            sa.select(sa.func.count())
            .select_from(erasure_request)
            .where(request.request_id.in_(repeated), request.state.not_in(sorted(FINAL)))
        )

    def memory_mark(self) -> int:
        return counters.find(self.session, counters.MEMORY_MARK) or 0

    def note_memory_mark(self, mark: int) -> None:
        counters.note_maximum(self.session, counters.MEMORY_MARK, mark)
