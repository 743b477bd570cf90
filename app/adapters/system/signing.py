"""Ed25519 keys in files: one private key at a time, and the notes by which each named the next.

The directory is made 0700, its files 0600:

    0003.pem    the private key that signs now (PKCS 8)
    0002.note   key 1 names key 2, signed by both
    0003.note   key 2 names key 3, signed by both
    home        the file's own inode number, which a copy of the directory does not have

Files are read at every use: an operator's rotation reaches every process at once, and a key
store that is gone is noticed by the next signature, not by the next restart.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from app.domain.audit.checkpoint import KeyRotation, NoteSignature, Sign, SignedNote, VerifierKey
from app.domain.certificates.signed_document import SigningKey
from app.domain.errors import DependencyUnavailableError, IntegrityError


def is_signed(key: VerifierKey, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` is the Ed25519 signature of ``key`` over ``message``."""
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


class FileSigner:
    """The signing key in a directory of its own.

    Args:
        name: name of the key, that is, the audit log's origin.
        refused: bits of a key file's mode with which nothing is signed.
    """

    def __init__(self, directory: Path, *, name: str, refused: int = 0o077) -> None:
        self._directory = directory
        self._name = name
        self._refused = refused

    def create(self) -> None:
        """Make the first key, unless there is one. Safe to call from several processes at once.

        Raises:
            DependencyUnavailableError: the directory cannot be written.
        """
        with _answering():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._lock(fcntl.LOCK_EX):
                if not any(self._directory.glob("*.pem")):
                    self._write(self._file(1, "pem"), _pem(Ed25519PrivateKey.generate()))
                if not self._home.exists():
                    self._write(self._home, None)

    def is_at_home(self) -> bool:
        with _answering():
            return self._home.read_text() == str(self._home.stat().st_ino)

    def settle(self) -> None:
        with _answering(), self._lock(fcntl.LOCK_EX):
            self._write(self._home, None)

    def current(self) -> SigningKey:
        with _answering(), self._lock(fcntl.LOCK_SH):
            number, private = self._load()
            notes = [self._file(each, "note").read_text() for each in range(2, number + 1)]
        key = _public(private, name=self._name)
        rotations = tuple(SignedNote.parse(note) for note in notes)
        if rotations and KeyRotation.parse(rotations[-1].text).new != key:
            raise IntegrityError("the newest key rotation names another key than the one in use")
        return SigningKey(key, rotations, _sign_with(private, key=key))

    def rotate(self, *, at: datetime) -> SigningKey:
        with _answering(), self._lock(fcntl.LOCK_EX):
            number, old = self._load()
            new = Ed25519PrivateKey.generate()
            old_key, new_key = _public(old, name=self._name), _public(new, name=self._name)
            note = SignedNote(KeyRotation(old_key, new_key, at).text())
            signed = note.signed(_sign_with(old, key=old_key)).signed(_sign_with(new, key=new_key))
            # The key file is the commit: a note without its key is overwritten by the next try.
            self._write(self._file(number + 1, "note"), signed.encode().encode())
            self._write(self._file(number + 1, "pem"), _pem(new))
            _destroy(self._file(number, "pem"))
        return self.current()

    def _load(self) -> tuple[int, Ed25519PrivateKey]:
        """Return the newest key and its number; an older one may be left by a crash."""
        newest = max(self._directory.glob("*.pem"), key=lambda path: int(path.stem), default=None)
        if newest is None:
            raise DependencyUnavailableError("there is no signing key")
        with newest.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & self._refused:
                raise IntegrityError("the signing key can be read by others: chmod 600")
            pem = file.read()
        try:
            key = load_pem_private_key(pem, password=None)
        except ValueError as error:
            raise IntegrityError("the signing key's file does not hold a key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise IntegrityError("the signing key is not an Ed25519 key")
        return int(newest.stem), key

    @property
    def _home(self) -> Path:
        return self._directory / "home"

    def _file(self, number: int, suffix: str) -> Path:
        return self._directory / f"{number:04}.{suffix}"

    def _write(self, path: Path, content: bytes | None) -> None:
        """Write a whole file durably, or nothing; without ``content`` its own inode number."""
        with tempfile.NamedTemporaryFile(dir=self._directory, delete=False) as draft:
            inode = os.fstat(draft.fileno()).st_ino  # which it keeps under its final name
            draft.write(str(inode).encode() if content is None else content)  # made 0600
            draft.flush()
            os.fsync(draft.fileno())
        Path(draft.name).replace(path)
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        """Lock the directory, so that rotations take turns and nobody reads half of one."""
        flags = os.O_RDONLY if kind == fcntl.LOCK_SH else os.O_RDONLY | os.O_CREAT
        descriptor = os.open(self._directory / "lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _answering() -> Iterator[None]:
    """Raise DependencyUnavailableError for an unreachable directory, without naming its path."""
    try:
        yield
    except OSError as error:
        raise DependencyUnavailableError("the key store does not answer") from error


def _sign_with(private: Ed25519PrivateKey, *, key: VerifierKey) -> Sign:
    def sign(message: bytes) -> NoteSignature:
        return NoteSignature(key.name, key.key_id, private.sign(message))

    return sign


def _public(private: Ed25519PrivateKey, *, name: str) -> VerifierKey:
    return VerifierKey(name, private.public_key().public_bytes_raw())


def _pem(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _destroy(path: Path) -> None:
    """Overwrite and remove a file; storage that remaps blocks may still keep the old bytes."""
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
