"""How far each data set was loaded."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from app.adapters.db.session import Repository
from app.adapters.db.tables import load_progress


class SqlLoads(Repository):
    """Positions by name of the data set."""

    def get(self, dataset: str) -> tuple[int, int] | None:
        row = self.session.first(
            sa.select(load_progress.c.line, load_progress.c.position).where(
                load_progress.c.dataset == dataset
            )
        )
        return None if row is None else (row.line, row.position)

    def put(self, dataset: str, *, line: int, offset: int, at: datetime) -> None:
        insert = self.session.insert(load_progress).values(
            dataset=dataset, line=line, position=offset, updated_at=at
        )
        names = ("line", "position", "updated_at")
        self.session.connection.execute(
            insert.on_conflict_do_update(
                index_elements=[load_progress.c.dataset],
                set_={name: insert.excluded[name] for name in names},
            )
        )

    def drop(self, dataset: str) -> None:
        self.session.changed(sa.delete(load_progress).where(load_progress.c.dataset == dataset))
