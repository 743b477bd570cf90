"""What is left in every store, in a form that two runs with other ids and times share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import parse_name
from app.adapters.db import tables
from app.adapters.db.audit_tables import audit_leaf
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.neighbours.exact import ExactNeighbours
from app.adapters.vault.tables import data_key
from app.domain.recommendation.opinion import OpinionRule
from tests.evidence import evidence_of_all


@dataclass(frozen=True, slots=True)
class Remains:
    """The final state of a run.

    Args:
        neighbours: the state hash of neighbours built from the rows.
        rows: sorted rows by table, without random ids and times.
        memories: live records by memory shard.
        n_keys: keys in the vault, those of needles included.
        requests: of each request, in the order of arrival: state, whether it still names
            anybody, its steps in order, and how often each kind of leaf tells of it.
    """

    neighbours: str
    rows: dict[str, list[tuple[Any, ...]]]
    memories: dict[str, int]
    n_keys: int
    requests: list[tuple[Any, ...]]

    def require_one_effect_each(self, *, n_requests: int) -> None:
        """Check that each request is completed, names nobody, and is told of once in each leaf.

        Raises:
            AssertionError: one is not.
        """
        assert len(self.requests) == n_requests
        for state, names_nobody, _, leaves in self.requests:
            assert (state, names_nobody) == ("completed", True)
            assert all(count == 1 for _, count in leaves), leaves


def remains(database_url: str, *, vault_url: str, chroma: ChromaDatabase) -> Remains:
    """Read everything; nobody may work meanwhile.

    Raises:
        AssertionError: the vector store and the rows do not name the same memories.
    """
    engine = open_engine(database_url)
    uows = SqlUnitsOfWork(engine)
    try:
        with engine.connect() as connection:
            rows = _rows(connection)
            requests = _requests(connection)
            said = tables.interaction.c.text.is_not(None)
            known = set(connection.scalars(sa.select(tables.interaction.c.record_id).where(said)))
        neighbours = ExactNeighbours()
        with uows.read() as uow:
            told = evidence_of_all(uow)
        neighbours.build((who, OpinionRule().liked(said)) for who, said in told.items())
        memories = _memories(chroma)
    finally:
        engine.dispose()
    assert set().union(*memories.values()) == known
    counts = {name: len(ids) for name, ids in sorted(memories.items())}
    return Remains(neighbours.state_hash(in_full=True), rows, counts, _n_keys(vault_url), requests)


def _n_keys(vault_url: str) -> int:
    engine = open_engine(vault_url, journal_mode="DELETE")
    try:
        with engine.connect() as connection:
            return int(connection.scalars(sa.select(sa.func.count()).select_from(data_key)).one())
    finally:
        engine.dispose()


def _rows(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
    row, stone, one = tables.interaction.c, tables.tombstone.c, tables.subject.c
    wanted = {
        "interaction": sa.select(
            row.pseudonym, row.event_key, row.item_id, row.pending_until, row.erased_by
        ),
        "tombstone": sa.select(stone.token, stone.epoch),
        "subject": sa.select(one.pseudonym, one.status, one.epoch),
    }
    return {
        name: sorted((tuple(found) for found in connection.execute(select)), key=repr)
        for name, select in wanted.items()
    }


def _requests(connection: sa.Connection) -> list[tuple[Any, ...]]:
    request, step, leaf = tables.erasure_request.c, tables.erasure_step.c, audit_leaf.c
    document = tables.erasure_document.c
    found = []
    for row in connection.execute(sa.select(tables.erasure_request).order_by(request.received_at)):
        steps = connection.execute(
            sa.select(step.step, step.store).where(step.request_id == row.request_id)
        )
        audit_services = connection.execute(
            sa.select(tables.erasure_document).where(document.request_id == row.request_id)
        ).one()
        kinds = connection.scalars(sa.select(leaf.kind).where(leaf.request_id == row.request_id))
        names_nobody = row.pseudonym is None and row.scope is None and row.body_hash is None
        names_nobody = (
            names_nobody and audit_services.salt is None and audit_services.needles is None
        )
        found.append(
            (
                row.state,
                names_nobody,
                sorted(map(tuple, steps)),
                sorted(Counter(kinds).items()),
            )
        )
    return found


def _memories(chroma: ChromaDatabase) -> dict[str, set[str]]:
    found = {}
    for collection in chroma.collections():
        parsed = parse_name(collection.name)
        if parsed is not None and parsed[0].startswith("memory"):
            found[collection.name] = set(collection.get(include=[])["ids"])
    return found
