"""A backup of everything that cannot be made anew, and putting back what was lost.

The order is the point. The vault comes after the rows: whoever was erased in between is in the rows
and in the vault's ledger of the erased, so that a start forgets them again; the other way round
somebody could have rows and no key. Memories are made anew from the rows; caches and queues come by
themselves. What opens a backup, the pepper and the key-encryption key, is not in it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from app.adapters.db.copies import copy_out, is_there, put_back
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.system.clock import SystemClock
from app.adapters.system.data_dir import DataDirLock
from app.domain.errors import ConflictError, IntegrityError
from app.settings import Settings

FORMAT: Final = "lethe-backup/v1"
_MANIFEST: Final = "manifest.json"
_NOT_IN_IT: Final = ("pepper", "key-encryption key", "memory", "cache", "queue")
_HOME: Final = "home"


@dataclass(frozen=True, slots=True)
class _Store:
    """Something that is copied: whether it is there, how it goes out, and how it comes back."""

    name: str
    is_there: Callable[[], bool]
    copy_out: Callable[[Path], None]
    put_back: Callable[[Path], None]


def _stores(settings: Settings) -> Iterator[_Store]:
    """Yield what is copied, in the order in which it has to be."""
    for name, url in (("rows", settings.database_url), ("vault", settings.vault_url)):
        yield _Store(name, partial(is_there, url), partial(copy_out, url), partial(put_back, url))
    keys = settings.audit.keys_dir or settings.data_dir / "keys"

    def put_keys_back(folder: Path) -> None:
        shutil.copytree(folder, keys, dirs_exist_ok=True)
        # Not at home: what was signed since the backup must not be signed again under this name.
        (keys / _HOME).write_text("restored from a backup")

    are_there, copy = partial(_has_keys, keys), partial(_copy_keys, keys)
    yield _Store("keys", are_there, copy, put_keys_back)


def _has_keys(keys: Path) -> bool:
    return any(keys.glob("*.pem"))


def _copy_keys(keys: Path, folder: Path) -> None:
    shutil.copytree(keys, folder, ignore=shutil.ignore_patterns(_HOME))


def back_up(settings: Settings, folder: Path) -> dict[str, Any]:
    """Copy all stores into a new folder, beside a running service too; return the manifest.

    Raises:
        ConflictError: the folder is there already.
        DependencyUnavailableError: a store does not answer.
    """
    if folder.exists():
        raise ConflictError(f"{folder} is there already")
    folder.mkdir(parents=True, mode=0o700)
    names = []
    for store in _stores(settings):
        store.copy_out(folder / store.name)
        names.append(store.name)
    manifest = {
        "format": FORMAT,
        "made_at": SystemClock().now().isoformat(),
        "release": version("lethe"),
        "stores": names,
        "files": {name: _digest(folder / name) for name in _files(folder)},
        "not_in_it": list(_NOT_IN_IT),
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1))
    return manifest


def restore(settings: Settings, folder: Path) -> dict[str, bool]:
    """Put back each store that is lost, and none that is there; return which were put back.

    The next start finds what the stores lack of each other: it erases again, makes memories anew,
    and opens a successor of the audit log where it has to.

    Raises:
        IntegrityError: the backup is not what was written; nothing was touched.
        ConflictError: the service uses the directory.
        DependencyUnavailableError: a database does not answer.
    """
    _require_whole(folder)
    lock = DataDirLock(settings.data_dir) if not settings.chroma.servers else None
    try:
        lost = {store.name: not store.is_there() for store in _stores(settings)}
        for store in _stores(settings):
            if lost[store.name]:
                store.put_back(folder / store.name)
        _doubt_vectors(settings)
    finally:
        if lock is not None:
            lock.close()
    return lost


def _doubt_vectors(settings: Settings) -> None:
    """Let the next start compare each memory with the rows, and put all items into the index."""
    uows = SqlUnitsOfWork(open_engine(settings.database_url, pool_size=1))
    try:
        with uows.write() as uow:
            uow.restores.note_memory_mark(uow.restores.memory_mark() + 1)
            uow.items.mark_unindexed()
    finally:
        uows.close()


def _require_whole(folder: Path) -> None:
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        said, is_ours = dict(manifest["files"]), manifest["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{folder} is no backup: it has no manifest that can be read"
        ) from error
    found = {name: _digest(folder / name) for name in _files(folder)}
    wrong = sorted({name for name, digest in found.items() ^ said.items()})
    if wrong or not is_ours:
        raise IntegrityError(f"the backup is not what was written: {', '.join(wrong) or 'format'}")


def _files(folder: Path) -> list[str]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [str(path.relative_to(folder)) for path in found if path.name != _MANIFEST]


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
