"""Users' own words in SQL are ciphertext, on both databases."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from app.adapters.db.tables import interaction as interactions
from app.adapters.db.tables import suppression
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.vault.cipher import VaultCipher
from app.domain.errors import IntegrityError, KeyMissingError
from app.domain.models import Kind, Pseudonym
from app.domain.recommendation.topic import Topic
from app.ports.vault import DataKey
from tests.contract.persistence.sql_rows import (
    NOW,
    SECOND,
    add,
    interaction,
    record_id,
    request_id,
    user,
)
from tests.fakes_vault import FakeKeyVault

ANNA, BERT = user("anna"), user("bert")
WORDS = "Nobody knows that I read poems — 秘密"


class CountingVault(FakeKeyVault):
    """Counts how often keys are asked for."""

    n_gets = 0

    def get(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, DataKey]:
        self.n_gets += 1
        return super().get(pseudonyms)


@pytest.fixture
def vault() -> CountingVault:
    return CountingVault()


@pytest.fixture
def sealed(engine: Engine, vault: CountingVault) -> SqlUnitsOfWork:
    return SqlUnitsOfWork(engine, cipher=VaultCipher(vault))


def stored(engine: Engine, column: sa.Column[str]) -> list[str | None]:
    with engine.connect() as connection:
        return [row[0] for row in connection.execute(sa.select(column))]


def test_the_callers_event_ids_come_back_and_lie_sealed(
    sealed: SqlUnitsOfWork, engine: Engine
) -> None:
    row, other = interaction("anna", "1"), interaction("anna", "2")
    named = replace(row, interaction=replace(row.interaction, event_id="order 7731, line 2"))
    add(sealed, named, other)

    with sealed.read() as uow:
        assert uow.interactions.event_ids(ANNA) == {row.record_id: "order 7731, line 2"}
        assert uow.interactions.event_ids(BERT) == {}
        traces = uow.interactions.traces(ANNA, record_ids=[row.record_id, other.record_id])
    told = {trace.record_id: trace.stored_event_id for trace in traces}
    assert told[other.record_id] is None
    assert {*told.values()} == {*stored(engine, interactions.c.event_id)}
    assert not any("7731" in one for one in told.values() if one)


def test_words_come_back_and_lie_sealed(sealed: SqlUnitsOfWork, engine: Engine) -> None:
    rows = [
        interaction("anna", "1", text=WORDS, kind=Kind.NOTE, item=None, value=None),
        interaction("anna", "2", text=WORDS, at=NOW - SECOND),
        interaction("anna", "3", at=NOW - 2 * SECOND),
        interaction("bert", "4", text="hello"),
    ]

    add(sealed, *rows)

    with sealed.read() as uow:
        assert [one.text for one in uow.interactions.history(ANNA)] == [WORDS, WORDS, None]
        assert [one.text for one in uow.interactions.history(BERT)] == ["hello"]
    columns = [text for text in stored(engine, interactions.c.text) if text is not None]
    assert len(set(columns)) == 3
    assert not any("poems" in text or "hello" in text for text in columns)


def test_what_was_inserted_is_returned_in_clear(sealed: SqlUnitsOfWork) -> None:
    first, again, other = (
        interaction("anna", "1", text=WORDS),
        replace(interaction("anna", "1", text="a repeat"), record_id=record_id("anna", "again")),
        interaction("anna", "2", text=""),
    )

    with sealed.write() as uow:
        inserted = uow.interactions.add([first, again, other], pending_until=NOW, received_at=NOW)

    assert inserted == [first, other]


def test_leftovers_are_leased_in_clear(sealed: SqlUnitsOfWork) -> None:
    rows = [interaction("anna", "1", text=WORDS), interaction("bert", "2", text="others")]
    with sealed.write() as uow:
        uow.interactions.add(rows, pending_until=NOW, received_at=NOW)

    with sealed.write() as uow:
        found = uow.interactions.lease_pending(
            expired_at=NOW + SECOND, until=NOW + 2 * SECOND, limit=10
        )

    assert sorted(found, key=lambda one: one.record_id) == sorted(
        rows, key=lambda one: one.record_id
    )


def test_who_has_rows_has_a_key(sealed: SqlUnitsOfWork, vault: CountingVault) -> None:
    add(sealed, interaction("anna", "1"), interaction("bert", "2", text=WORDS))

    assert vault.keys.keys() == {ANNA, BERT}


def test_no_key_is_asked_for_where_nothing_was_written(
    sealed: SqlUnitsOfWork, vault: CountingVault
) -> None:
    add(sealed, *(interaction("anna", str(number)) for number in range(20)))
    before = vault.n_gets

    with sealed.read() as uow:
        assert len(uow.interactions.history(ANNA)) == 20
        assert uow.suppressions.of([ANNA]) == {}

    assert vault.n_gets == before


def test_one_key_opens_a_whole_history(sealed: SqlUnitsOfWork, vault: CountingVault) -> None:
    add(sealed, *(interaction("anna", str(number), text=WORDS) for number in range(20)))
    before = vault.n_gets

    with sealed.read() as uow:
        assert {one.text for one in uow.interactions.history(ANNA)} == {WORDS}

    assert vault.n_gets == before + 1


def test_words_moved_to_another_row_or_user_are_refused(
    sealed: SqlUnitsOfWork, engine: Engine
) -> None:
    add(sealed, interaction("anna", "1", text="yes"), interaction("anna", "2", text="no"))
    taken = sa.select(interactions.c.text).where(interactions.c.record_id == record_id("anna", "1"))
    with engine.begin() as connection:
        connection.execute(sa.update(interactions).values(text=taken.scalar_subquery()))

    with sealed.read() as uow, pytest.raises(IntegrityError):
        uow.interactions.history(ANNA)


def test_words_are_noise_once_the_key_is_gone(sealed: SqlUnitsOfWork, vault: CountingVault) -> None:
    add(sealed, interaction("anna", "1", text=WORDS), interaction("bert", "2", text=WORDS))
    vault.shred(ANNA)

    with sealed.read() as uow, pytest.raises(KeyMissingError):
        uow.interactions.history(ANNA)
    with sealed.read() as uow:
        assert uow.interactions.history(BERT)[0].text == WORDS
        (without,) = uow.interactions.history(ANNA, with_texts=False)
        assert (without.record_id, without.text) == (record_id("anna", "1"), None)
    vault.ensure([ANNA])
    with sealed.read() as uow, pytest.raises(IntegrityError):
        uow.interactions.history(ANNA)


def test_unwanted_topics_are_sealed(sealed: SqlUnitsOfWork, engine: Engine) -> None:
    topics = [Topic("1" * 64, "Harry Potter"), Topic("2" * 64, "whales")]
    with sealed.write() as uow:
        for topic in topics:
            uow.suppressions.add(ANNA, topic, request_id=request_id("r"), at=NOW)
        uow.suppressions.add(ANNA, topics[0], request_id=request_id("s"), at=NOW)
        uow.suppressions.add(BERT, topics[1], request_id=request_id("r"), at=NOW)

    with sealed.read() as uow:
        assert uow.suppressions.of([ANNA, BERT]) == {ANNA: topics, BERT: topics[1:]}
    column = stored(engine, suppression.c.topic_text)
    assert len(set(column)) == 3
    assert not any("Potter" in str(text) or "whales" in str(text) for text in column)


def test_an_unsealed_database_holds_words_as_they_come(
    uows: SqlUnitsOfWork, engine: Engine
) -> None:
    """The control: what the tests above look for can be found."""
    add(uows, interaction("anna", "1", text=WORDS))

    assert stored(engine, interactions.c.text) == [WORDS]
