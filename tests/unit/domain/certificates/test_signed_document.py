"""The key store in files: rotation with continuity, and everything that must fail closed."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.system.signing import FileSigner, is_signed
from app.domain.audit.checkpoint import SignedNote, successors
from app.domain.errors import DependencyUnavailableError, IntegrityError
from tests.audit_samples import ORIGIN

AT = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def signer(folder: Path) -> FileSigner:
    made = FileSigner(folder, name=ORIGIN)
    made.create()
    return made


def test_key_signs_what_its_public_half_verifies(signer: FileSigner) -> None:
    current = signer.current()
    note = SignedNote("text\n").signed(current.sign)

    assert note.verify([current.key], is_signed=is_signed) == [current.key]
    assert current.rotations == ()


def test_files_can_be_read_by_their_owner_only(signer: FileSigner, folder: Path) -> None:
    signer.rotate(at=AT)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_creating_again_keeps_the_key(signer: FileSigner) -> None:
    key = signer.current().key
    signer.create()

    assert signer.current().key == key


def test_concurrent_first_starts_make_one_key(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: FileSigner(folder, name=ORIGIN).create(), range(32)))

    assert len(list(folder.glob("*.pem"))) == 1


def test_old_keys_lead_to_the_new_one_and_are_destroyed(signer: FileSigner, folder: Path) -> None:
    first = signer.current().key
    second = signer.rotate(at=AT).key
    current = signer.rotate(at=AT)

    assert len({first, second, current.key}) == 3
    trusted = successors([first], rotations=current.rotations, is_signed=is_signed)
    assert trusted == (first, second, current.key)
    assert [path.name for path in folder.glob("*.pem")] == ["0003.pem"]
    assert FileSigner(folder, name=ORIGIN).current().key == current.key


def test_readers_never_see_half_a_rotation(signer: FileSigner) -> None:
    def read(_: int) -> bool:
        current = signer.current()
        note = SignedNote("text\n").signed(current.sign)
        return note.verify([current.key], is_signed=is_signed) == [current.key]

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, number) for number in range(60)]
        for _ in range(5):
            signer.rotate(at=AT)
        assert all(reader.result() for reader in readers)


def test_rotation_that_died_half_way_is_overwritten(signer: FileSigner, folder: Path) -> None:
    (folder / "0002.note").write_text("half a note")
    first = signer.current().key
    current = signer.rotate(at=AT)

    assert successors([first], rotations=current.rotations, is_signed=is_signed)[-1] == current.key


def test_nothing_is_signed_when_the_store_is_gone(signer: FileSigner, folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))

    with pytest.raises(DependencyUnavailableError, match="does not answer"):
        signer.current()
    with pytest.raises(DependencyUnavailableError, match="does not answer"):
        signer.rotate(at=AT)


def test_nothing_is_signed_when_the_key_is_missing(signer: FileSigner, folder: Path) -> None:
    (folder / "0001.pem").unlink()

    with pytest.raises(DependencyUnavailableError, match="no signing key"):
        signer.current()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_nothing_is_signed_when_others_can_read_the_key(
    signer: FileSigner, folder: Path, mode: int
) -> None:
    (folder / "0001.pem").chmod(mode)

    with pytest.raises(IntegrityError, match="read by others"):
        signer.current()


@pytest.mark.parametrize("content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_nothing_is_signed_when_the_file_is_no_key(
    signer: FileSigner, folder: Path, content: bytes
) -> None:
    (folder / "0001.pem").write_bytes(content)

    with pytest.raises(IntegrityError, match="does not hold a key"):
        signer.current()


def test_nothing_is_signed_when_the_rotation_is_of_another_key(
    signer: FileSigner, folder: Path
) -> None:
    signer.rotate(at=AT)
    other = FileSigner(folder.with_name("other"), name=ORIGIN)
    other.create()
    other.rotate(at=AT)
    (folder.with_name("other") / "0002.note").replace(folder / "0002.note")

    with pytest.raises(IntegrityError, match="another key"):
        signer.current()


def test_error_names_no_path(folder: Path) -> None:
    folder.write_text("a file where the folder should be")

    with pytest.raises(DependencyUnavailableError) as caught:
        FileSigner(folder, name=ORIGIN).create()
    assert str(folder) not in caught.value.message
