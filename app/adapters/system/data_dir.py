"""One data directory, one process."""

from __future__ import annotations

import fcntl
from pathlib import Path

from app.domain.errors import ConflictError


class DataDirLock:
    """Locks a data directory for one process, because Chroma's files may be open in only one.

    A second process would read erased records and lose writes without any error.
    """

    def __init__(self, directory: Path) -> None:
        """Take the lock.

        Raises:
            ConflictError: another process has it.
        """
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
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
