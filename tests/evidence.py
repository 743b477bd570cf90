"""Everybody's evidence as a test looks at it."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np

from app.domain.models import Pseudonym
from app.domain.recommendation.numbers import unpacked
from app.domain.recommendation.opinion import Evidence
from app.domain.recommendation.opinions_of_many import KINDS
from app.domain.recommendation.users import told
from app.ports.persistence.unit_of_work import UnitOfWork

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def evidence_of_all(uow: UnitOfWork) -> dict[Pseudonym, list[Evidence]]:
    """Return what all rows say, by user."""
    found = defaultdict[Pseudonym, list[Evidence]](list)
    for rows in uow.interactions.all_rows():
        columns = (rows.kinds.tolist(), rows.values.tolist(), rows.moments.tolist())
        for user, item, kind, value, moment in zip(
            told(rows.users), unpacked(rows.items), *columns, strict=True
        ):
            at = _EPOCH + timedelta(microseconds=moment)
            rating = None if np.isnan(value) else value
            found[user].append(Evidence(item, KINDS[kind], rating, at))
    return dict(found)
