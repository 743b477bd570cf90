"""Opening the key vault, or refusing to run without the keys of what is stored."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from app.adapters.db.engine import open_engine
from app.adapters.queue.inline import PeriodicTask
from app.adapters.vault.kek import LocalKeyEncryption, read_kek_file
from app.adapters.vault.key_cache import KeyCache
from app.adapters.vault.sql import SqlKeyVault
from app.domain.errors import IntegrityError, SettingsError
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.ports.vault import KeyVault
from app.secret_files import create_secret_file, strangers_bits
from app.settings import Settings

_EXPIRE_S: Final = 1.0
"""Seconds between two looks for keys in memory whose time is over."""


def open_vault(settings: Settings, closing: ExitStack, *, clock: Clock) -> SqlKeyVault:
    """Return the vault, its tables made and its key-encryption key checked.

    Raises:
        SettingsError: the key-encryption key is none.
        KeyUnavailableError: the vault, or the key's file, does not answer.
        IntegrityError: the vault was wrapped by another key-encryption key.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    cache = KeyCache(
        clock=clock, max_keys=settings.vault.cache_keys, ttl_s=settings.vault.cache_ttl_s
    )
    vault = SqlKeyVault(
        open_engine(
            settings.vault_url, pool_size=settings.database.pool_size, journal_mode="DELETE"
        ),
        key_encryption=_key_encryption(settings),
        cache=cache,
    )
    closing.callback(vault.close)
    vault.create()
    expiry = PeriodicTask("key-cache", cache.expire, interval_s=_EXPIRE_S)
    expiry.start()
    closing.callback(expiry.stop)
    return vault


def _key_encryption(settings: Settings) -> LocalKeyEncryption:
    if settings.vault.kek is not None:
        text = settings.vault.kek.get_secret_value()
    else:
        path = settings.data_dir / "kek"
        create_secret_file(path)
        text = read_kek_file(path, refused=strangers_bits(trusts_group=settings.trust_group))
    try:
        return LocalKeyEncryption.parse(text)
    except ValueError as error:
        raise SettingsError([f"LETHE_VAULT__KEK, or its file: {error}"]) from None


def require_keys(uows: UnitsOfWork, vault: KeyVault) -> None:
    """Refuse to give new keys to users whose data are sealed by keys that were lost.

    Raises:
        IntegrityError: there are interactions, and the vault is empty.
    """
    if vault.count():
        return  # to count the rows takes seconds where there are many
    with uows.read() as uow:
        n_interactions = uow.interactions.count()
    if n_interactions:
        raise IntegrityError("there are users but no keys: restore the key vault")
