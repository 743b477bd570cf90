"""The key vault in a database of its own, SQLite or PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Engine

from app.adapters.db import engine as engines
from app.adapters.db import postgres_files
from app.adapters.db.session import Record, Session
from app.adapters.vault.key_cache import KeyCache
from app.adapters.vault.tables import create_tables, data_key, vault_state
from app.domain.errors import DependencyUnavailableError, IntegrityError, KeyUnavailableError
from app.domain.models import Pseudonym
from app.ports.vault import DATA_KEY_BYTES, DataKey, KeyEncryption

_REWRAP_BATCH: Final = 500
_col = data_key.c
_STATE: Final = sa.select(vault_state.c.n_shreds)


class SqlKeyVault:
    """KeyVault over two tables. Safe to share between threads, not processes.

    Every use begins with a look at the count of shreds: a key that any process has shredded is
    used by none from then on.

    Args:
        engine: from ``open_engine``, for SQLite with ``journal_mode="DELETE"``; owned from here on.
        key_encryption: wraps the keys.
        cache: for unwrapped keys.
    """

    def __init__(self, engine: Engine, *, key_encryption: KeyEncryption, cache: KeyCache) -> None:
        self._engine = engine
        self._is_postgres = engine.dialect.name == "postgresql"
        self._key_encryption = key_encryption
        self._cache = cache
        self._file = None if self._is_postgres else Path(str(engine.url.database))
        self._inode: int | None = None

    def create(self) -> None:
        """Make the tables where they are missing, and check the key-encryption key.

        Raises:
            KeyUnavailableError: the vault does not answer.
            IntegrityError: it holds keys wrapped by a key-encryption key that is not here.
        """
        with self.session(is_write=True) as session:
            create_tables(session)
        self._inode = self._file.stat().st_ino if self._file else None
        with self.session() as session:
            used = {row.kek_id for row in session.rows(sa.select(_col.kek_id).distinct())}
        if used - self._key_encryption.key_ids:
            raise IntegrityError("the key vault was wrapped by another key-encryption key")

    def close(self) -> None:
        """Close the connections and drop the keys from memory."""
        self._cache.clear()
        self._engine.dispose()

    def ensure(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, DataKey]:
        keys = self.get(pseudonyms)
        missing = set(pseudonyms) - keys.keys()
        if missing:
            self._insert(sorted(missing))
            keys |= self.get(missing)
        return keys

    def _insert(self, pseudonyms: Sequence[Pseudonym]) -> None:
        values = [
            self._wrapped(secrets.token_bytes(DATA_KEY_BYTES), pseudonym)
            for pseudonym in pseudonyms
        ]
        with self.session(is_write=True) as session:
            # Whoever was first has made the key; ours was never used.
            session.changed(session.insert(data_key).on_conflict_do_nothing(), values)

    def _wrapped(self, secret: bytes, pseudonym: Pseudonym) -> dict[str, object]:
        return {
            "pseudonym": pseudonym,
            "wrapped": self._key_encryption.wrap(secret, context=pseudonym),
            "kek_id": self._key_encryption.key_id,
        }

    def get(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, DataKey]:
        with self.session() as session:
            n_shreds = session.number(_STATE)
            keys = self._cache.find(pseudonyms, n_shreds=n_shreds)
            missing = set(pseudonyms) - keys.keys()
            rows = _rows(session, missing) if missing else ()
        # The key-encryption key may be far away: not within the transaction.
        read = {Pseudonym(row.pseudonym): DataKey(self._secret(row)) for row in rows}
        self._cache.keep(read, n_shreds=n_shreds)
        return keys | read

    def _secret(self, row: Record) -> bytes:
        return self._key_encryption.unwrap(row.wrapped, context=row.pseudonym, key_id=row.kek_id)

    def wrapped(self, pseudonym: Pseudonym) -> bytes | None:
        with self.session() as session:
            rows = _rows(session, [pseudonym])
        return bytes(rows[0].wrapped) if rows else None

    def shred(self, pseudonym: Pseudonym) -> int:
        mine = _col.pseudonym == pseudonym
        with self.session(is_write=True) as session:
            row = session.first(sa.select(sa.func.length(_col.wrapped).label("n")).where(mine))
            if row is not None:
                noise = secrets.token_bytes(row.n)
                session.changed(sa.update(data_key).where(mine).values(wrapped=noise))
                session.changed(sa.delete(data_key).where(mine))
                session.changed(sa.update(vault_state).values(n_shreds=vault_state.c.n_shreds + 1))
        self._cache.clear()
        return 0 if row is None else 1

    def flush(self) -> None:
        """Remove shredded keys from the files.

        PostgreSQL's plain VACUUM clears nothing, so the table is written anew, and the server's
        log, which has the wrapped keys, is retired where that may be done. On SQLite
        ``secure_delete`` has done it: of 10,000 keys shredded between 20,000 inserts none was left,
        and VACUUM would put all live keys into a journal once more.
        """
        if self._is_postgres:
            with self._answering():
                postgres_files.rewrite(self._engine, ["data_key"])

    def count(self, pseudonym: Pseudonym | None = None) -> int:
        statement = sa.select(sa.func.count()).select_from(data_key)
        if pseudonym is not None:
            statement = statement.where(_col.pseudonym == pseudonym)
        with self.session() as session:
            return session.number(statement)

    def owners(self) -> set[Pseudonym]:
        with self.session() as session:
            return {Pseudonym(row.pseudonym) for row in session.rows(sa.select(_col.pseudonym))}

    def rewrap(self) -> int:
        done = 0
        while rows := self._wrapped_by_others():
            done += self._rewrap(rows)
        self.flush()  # the old forms are in the files, and their key may be known
        return done

    def _wrapped_by_others(self) -> Sequence[Record]:
        is_old = _col.kek_id != self._key_encryption.key_id
        with self.session() as session:
            return session.rows(sa.select(data_key).where(is_old).limit(_REWRAP_BATCH))

    def _rewrap(self, rows: Sequence[Record]) -> int:
        wrapped = [self._wrapped(self._secret(row), Pseudonym(row.pseudonym)) for row in rows]
        done = 0
        with self.session(is_write=True) as session:
            for row, values in zip(rows, wrapped, strict=True):
                # Only over the very bytes that were read: what was shredded stays shredded.
                same = sa.and_(_col.pseudonym == row.pseudonym, _col.wrapped == row.wrapped)
                done += session.changed(sa.update(data_key).where(same).values(values))
        return done

    @contextmanager
    def session(self, *, is_write: bool = False) -> Iterator[Session]:
        """Yield a transaction; it commits at the end of the block.

        Raises:
            KeyUnavailableError: the vault does not answer, or its file was replaced.
        """
        with self._answering():
            self._require_same_file()
            mode = engines.WRITE if is_write else engines.READ
            options = {} if self._is_postgres else {engines.BEGIN_OPTION: mode}
            with (
                self._engine.connect().execution_options(**options) as connection,
                connection.begin(),
            ):
                yield Session(connection, self._is_postgres)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Say that it is the vault that does not answer."""
        try:
            yield
        except KeyUnavailableError:
            raise
        except (DependencyUnavailableError, sa.exc.TimeoutError) as error:
            raise KeyUnavailableError("the key vault does not answer") from error

    def _require_same_file(self) -> None:
        """Refuse to go on with a file that was taken away or replaced under this process.

        An open connection would go on writing keys into a file without a name, to be lost.
        """
        if self._file is None or self._inode is None:
            return
        try:
            inode = self._file.stat().st_ino
        except OSError as error:
            raise KeyUnavailableError("the key vault's file is gone") from error
        if inode != self._inode:
            raise KeyUnavailableError("the key vault's file was replaced: restart the service")


def _rows(session: Session, pseudonyms: Collection[Pseudonym]) -> Sequence[Record]:
    return session.rows(sa.select(data_key).where(session.within(_col.pseudonym, pseudonyms)))
