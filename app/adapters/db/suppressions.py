"""Topics that users do not want."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from app.adapters.db.session import Repository, among
from app.adapters.db.tables import suppression
from app.domain.models import Pseudonym, RequestId
from app.domain.recommendation.topic import Topic

_OF: Final = {
    is_postgres: sa.select(
        suppression.c.pseudonym, suppression.c.topic_id, suppression.c.topic_text
    )
    .where(among(suppression.c.pseudonym, is_postgres=is_postgres))
    .order_by(suppression.c.pseudonym, suppression.c.topic_id)
    for is_postgres in (False, True)
}


class SqlSuppressions(Repository):
    """Suppressed topics by user."""

    def add(
        self, pseudonym: Pseudonym, topic: Topic, *, request_id: RequestId, at: datetime
    ) -> None:
        self.session.changed(
            self.session.insert(suppression)
            .values(
                pseudonym=pseudonym,
                topic_id=topic.topic_id,
                topic_text=topic.text,
                request_id=request_id,
                created_at=at,
            )
            .on_conflict_do_nothing()
        )

    def of(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, list[Topic]]:
        session = self.session
        rows = session.rows(_OF[session.is_postgres], session.listed(pseudonyms))
        topics: dict[Pseudonym, list[Topic]] = {}
        for pseudonym, topic_id, text in rows:
            topics.setdefault(Pseudonym(pseudonym), []).append(Topic(topic_id, text))
        return topics

    def remove(self, pseudonym: Pseudonym, *, topic_id: str) -> bool:
        statement = sa.delete(suppression).where(
            suppression.c.pseudonym == pseudonym, suppression.c.topic_id == topic_id
        )
        return self.session.changed(statement) > 0

    def remove_all(self, pseudonym: Pseudonym) -> int:
        return self.session.changed(
            sa.delete(suppression).where(suppression.c.pseudonym == pseudonym)
        )

    def remove_of(self, request_id: RequestId) -> int:
        return self.session.changed(
            sa.delete(suppression).where(suppression.c.request_id == request_id)
        )
