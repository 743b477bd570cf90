"""A filter's plain evaluation, its masks and its SQL answer the same, on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine

from app.adapters.db.tables import item
from app.domain.recommendation.columns import Columns
from app.domain.recommendation.filter import CatalogueEntry, Where, matches
from app.domain.recommendation.filter_parser import parse_where
from benchmarks.where.filter_sql import FilterSql
from tests.where_cases import NOW, catalogues, documents

# The columns of the item table that filters read, and the one that it does not have yet.
TABLE = sa.Table(
    "filtered_item",
    sa.MetaData(),
    *(
        sa.Column(name, item.c[name].type)
        for name in ("item_id", "title", "attributes", "updated_at")
    ),
    sa.Column("available", sa.Boolean),
)


@pytest.fixture
def filtered(engine: Engine) -> Iterator[Engine]:
    """A database with the table."""
    TABLE.create(engine)
    yield engine
    TABLE.drop(engine)


def by_sql(engine: Engine, catalogue: Sequence[CatalogueEntry], where: Where) -> set[str]:
    """Return the ids of what a query finds in a database that holds this catalogue alone."""
    rows = [
        {
            "item_id": entry.item.item_id,
            "title": entry.item.title,
            "attributes": dict(entry.item.attributes),
            "updated_at": entry.updated_at,
            "available": entry.available,
        }
        for entry in catalogue
    ]
    condition = FilterSql(TABLE, is_postgres=engine.dialect.name == "postgresql").condition(where)
    with engine.connect() as connection:
        if rows:
            connection.execute(sa.insert(TABLE), rows)
        found = connection.execute(sa.select(TABLE.c.item_id).where(condition)).scalars()
        ids = set(found)
        connection.rollback()
    return ids


@settings(
    max_examples=60,
    deadline=None,
    # Every example begins with an empty table: the one before was rolled back.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(catalogue=catalogues(), document=documents)
def test_evaluation_masks_and_sql_agree_whatever_the_catalogue_and_the_filter(
    *, filtered: Engine, catalogue: list[CatalogueEntry], document: dict[str, object]
) -> None:
    where = parse_where(document, now=NOW, attributes=None)

    expected = {entry.item.item_id for entry in catalogue if matches(where, entry)}

    mask = Columns.of(catalogue).mask(where).tolist()
    assert {
        entry.item.item_id for entry, is_in in zip(catalogue, mask, strict=True) if is_in
    } == expected
    assert by_sql(filtered, catalogue, where) == expected
