"""Key-encryption keys, keys in memory, and sealed texts."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.vault.cipher import VaultCipher
from app.adapters.vault.kek import LocalKeyEncryption, read_kek_file
from app.adapters.vault.key_cache import KeyCache
from app.domain.errors import IntegrityError, KeyUnavailableError
from app.domain.models import Pseudonym
from app.ports.vault import DataKey
from tests.fakes_vault import FakeKeyVault

ANNA, BERT, CARL = Pseudonym("a" * 64), Pseudonym("b" * 64), Pseudonym("c" * 64)
OLD, NEW = "01" * 32, "02" * 32


@dataclass
class SetClock:
    """A clock that stands still."""

    at_s: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at_s, UTC)

    def monotonic_s(self) -> float:
        return self.at_s

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds


def a_key() -> DataKey:
    return DataKey(secrets.token_bytes(32))


def test_what_is_wrapped_comes_back_and_never_looks_the_same() -> None:
    kek = LocalKeyEncryption.parse(NEW)
    secret = secrets.token_bytes(32)

    first, second = kek.wrap(secret, context=ANNA), kek.wrap(secret, context=ANNA)

    assert kek.unwrap(first, context=ANNA, key_id=kek.key_id) == secret
    assert kek.unwrap(second, context=ANNA, key_id=kek.key_id) == secret
    assert first != second
    assert secret not in first


def test_a_former_key_unwraps_and_does_not_wrap() -> None:
    old, both = LocalKeyEncryption.parse(OLD), LocalKeyEncryption.parse(f"{NEW}, {OLD}\n")
    wrapped = old.wrap(b"s" * 32, context=ANNA)

    assert both.unwrap(wrapped, context=ANNA, key_id=old.key_id) == b"s" * 32
    assert both.key_id == LocalKeyEncryption.parse(NEW).key_id
    assert both.key_ids == {both.key_id, old.key_id}


def test_another_user_s_or_a_damaged_key_is_not_unwrapped() -> None:
    kek = LocalKeyEncryption.parse(NEW)
    wrapped = kek.wrap(b"s" * 32, context=ANNA)

    with pytest.raises(IntegrityError):
        kek.unwrap(wrapped, context=BERT, key_id=kek.key_id)
    for damaged in (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), wrapped[:5], b""):
        with pytest.raises(IntegrityError):
            kek.unwrap(damaged, context=ANNA, key_id=kek.key_id)


def test_a_key_encryption_key_that_is_not_here_is_named_as_such() -> None:
    old = LocalKeyEncryption.parse(OLD)
    wrapped = old.wrap(b"s" * 32, context=ANNA)

    with pytest.raises(KeyUnavailableError, match="not here"):
        LocalKeyEncryption.parse(NEW).unwrap(wrapped, context=ANNA, key_id=old.key_id)


@pytest.mark.parametrize("text", ["", "  \n", "01" * 31, "canary" * 8, f"{NEW},zz"])
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits") as caught:
        LocalKeyEncryption.parse(text)

    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_file_that_others_read_or_that_is_gone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    with pytest.raises(KeyUnavailableError):
        read_kek_file(path)
    path.write_text(NEW)
    path.chmod(0o640)

    with pytest.raises(IntegrityError, match="chmod 600"):
        read_kek_file(path)

    os.chmod(path, 0o600)  # noqa: PTH101 - as an operator does
    assert read_kek_file(path) == NEW


def test_a_key_in_memory_is_found_until_its_time_is_over() -> None:
    clock = SetClock()
    cache = KeyCache(clock=clock, max_keys=10, ttl_s=60)
    key = a_key()
    cache.keep({ANNA: key}, n_shreds=0)

    clock.at_s = 59.9
    assert cache.find([ANNA, BERT], n_shreds=0) == {ANNA: key}
    clock.at_s = 60.0
    assert cache.find([ANNA], n_shreds=0) == {}
    assert len(cache) == 1

    cache.expire()

    assert len(cache) == 0


def test_the_key_that_was_used_longest_ago_goes_first() -> None:
    cache = KeyCache(clock=SetClock(), max_keys=2, ttl_s=60)
    cache.keep({ANNA: a_key(), BERT: a_key()}, n_shreds=0)
    cache.find([ANNA], n_shreds=0)

    cache.keep({CARL: a_key()}, n_shreds=0)

    assert cache.find([ANNA, BERT, CARL], n_shreds=0).keys() == {ANNA, CARL}


def test_no_key_is_left_in_memory_after_a_shred() -> None:
    cache = KeyCache(clock=SetClock(), max_keys=10, ttl_s=60)
    cache.keep({ANNA: a_key()}, n_shreds=3)

    assert cache.find([ANNA], n_shreds=4) == {}

    assert len(cache) == 0
    cache.keep({ANNA: a_key()}, n_shreds=3)  # read before the shred, kept after it
    assert len(cache) == 0
    assert cache.find([ANNA], n_shreds=3) == {}


@pytest.fixture
def cipher() -> VaultCipher:
    cipher = VaultCipher(FakeKeyVault())
    cipher.prepare([ANNA, BERT])
    return cipher


@given(text=st.text(max_size=300))
def test_a_sealed_text_is_opened_again(text: str) -> None:
    cipher = VaultCipher(FakeKeyVault())
    cipher.prepare([ANNA])

    sealed = cipher.seal({"r": text}, pseudonym=ANNA, purpose="text")

    assert cipher.open(sealed, pseudonym=ANNA, purpose="text") == {"r": text}
    assert len(sealed["r"]) == 2 + -(-(28 + len(text.encode())) * 4 // 3)


def test_a_sealed_text_opens_in_its_own_place_only(cipher: VaultCipher) -> None:
    (sealed,) = cipher.seal({"r": "hello"}, pseudonym=ANNA, purpose="text").values()
    others = [
        (sealed, "s", ANNA, "text"),
        (sealed, "r", BERT, "text"),
        (sealed, "r", ANNA, "topic"),
        (sealed[:-1] + ("A" if sealed[-1] != "A" else "E"), "r", ANNA, "text"),
        (sealed[:20], "r", ANNA, "text"),
        ("1.", "r", ANNA, "text"),
        ("1.§", "r", ANNA, "text"),
        ("2." + sealed[2:], "r", ANNA, "text"),
        ("hello", "r", ANNA, "text"),
    ]

    for text, label, user, purpose in others:
        with pytest.raises(IntegrityError):
            cipher.open({label: text}, pseudonym=user, purpose=purpose)


def test_without_a_key_nothing_is_sealed_or_opened(cipher: VaultCipher) -> None:
    sealed = cipher.seal({"r": "hello"}, pseudonym=ANNA, purpose="text")

    with pytest.raises(KeyUnavailableError):
        cipher.seal({"r": "hello"}, pseudonym=CARL, purpose="text")
    with pytest.raises(KeyUnavailableError):
        cipher.open(sealed, pseudonym=CARL, purpose="text")


def test_a_key_s_uses_are_apart_and_it_does_not_show() -> None:
    key = a_key()

    assert len({key.secret, key.subkey("text"), key.subkey("rotation")}) == 3
    assert key.secret.hex() not in repr(key)
    assert str(key.secret) not in repr(key)
    with pytest.raises(ValueError, match="32 bytes"):
        DataKey(b"short")
