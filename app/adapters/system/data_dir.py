"""One data directory, one process."""

from __future__ import annotations

import fcntl
import stat
from pathlib import Path

import structlog

from app.domain.errors import ConflictError

_log = structlog.get_logger(__name__)


def make_private(directory: Path) -> None:
    """Make a directory for its owner's eyes only; one that is there and wider is told of."""
    if not directory.exists():
        directory.mkdir(parents=True, mode=0o700)
    elif directory.stat().st_mode & 0o077:
        _log.warning("data_directory_open_to_others", advice="chmod 700")
    wide = [path for path in directory.rglob("*") if _is_wide(path)]
    if wide:
        _log.warning("data_files_open_to_others", files=len(wide), advice="chmod -R go= on it")


def _is_wide(path: Path) -> bool:
    """Whether others may read or write a file; one that went meanwhile is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and bool(found.st_mode & 0o077)


class DataDirLock:
    """Locks a data directory for one process, because Chroma's files may be open in only one.

    A second process would read erased records and lose writes without any error.
    """

    def __init__(self, directory: Path) -> None:
        """Take the lock.

        Raises:
            ConflictError: another process has it.
        """
        make_private(directory)
        self._file = (directory / "lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ConflictError(
                "another Lethe process uses this data directory; ask it with --url, or stop it"
            ) from None

    def close(self) -> None:
        self._file.close()
