"""The Probe port over files, in a process that has no database open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import app
from app.adapters.probe.messages import decode_reports, encode_asked, encode_stores
from app.adapters.probe.stores import Asked, ProbedStore
from app.domain.erasure.residue import Needles, ProbeReport
from app.domain.errors import DependencyUnavailableError

STAYS: Final = "--stays"
CLEAN: Final = b"clean "
"""Begins a task to clean the files of the directory that follows; any other task is a search."""
_ROOT: Final = Path(next(iter(app.__path__))).parent
_COMMAND: Final = (sys.executable, "-m", "app.adapters.probe")


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next message of a pipe, None where it has ended."""
    length = stream.readline()
    if not length:
        return None
    message = stream.read(int(length))
    return message if len(message) == int(length) else None


def write_frame(stream: IO[bytes], message: bytes) -> None:
    """Write a message for ``read_frame``."""
    stream.write(b"%d\n" % len(message) + message)
    stream.flush()


class FileProbe:
    """Probe over the files of stores.

    A child process does the search: closing any descriptor of ``chroma.sqlite3`` in the process
    that has Chroma open would drop Chroma's own locks on it.

    Args:
        stores: where to look.
        timeout_s: for the whole search.
    """

    def __init__(self, stores: Sequence[ProbedStore], *, timeout_s: float = 600.0) -> None:
        self._stores = tuple(stores)
        self._timeout_s = timeout_s

    def search(
        self, groups: Sequence[Needles], *, control: Needles, key: bytes = b""
    ) -> list[tuple[ProbeReport, ...]]:
        task = b"\n".join([encode_stores(self._stores), encode_asked(Asked(groups, control, key))])
        # A traceback of the child may quote a needle: its words are dropped, never logged.
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                _COMMAND,
                cwd=_ROOT,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
                input=task,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self._timeout_s,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            raise DependencyUnavailableError("the probe could not read every store") from None
        return decode_reports(done.stdout)


class StayingProcess:
    """A process beside a node's files that stays warm between cleanings and searches.

    It is started at the first task, and again after one that ended it or took too long.

    Args:
        directory: of the Chroma database.
        stores: where to look.
        timeout_s: for one task.
    """

    def __init__(
        self, directory: Path, *, stores: Sequence[ProbedStore], timeout_s: float = 900.0
    ) -> None:
        self._directory = directory
        self._stores = encode_stores(stores)
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's, None while there is none."""
        return None if self._process is None else self._process.pid

    def clean(self) -> bytes:
        """Clean the files; return the report, as ``maintenance_process`` reads it.

        Raises:
            DependencyUnavailableError: it did not finish; the files may still hold erased data.
        """
        return self._do(CLEAN + os.fsencode(self._directory))

    def search(self, asked: Sequence[bytes]) -> list[bytes]:
        """Search once for all that was asked, as ``encode_asked`` told it; return the reports.

        Raises:
            DependencyUnavailableError: a file could not be read to the end.
        """
        return self._do(b"\n".join([self._stores, *asked])).split(b"\n")

    def close(self) -> None:
        """End the process, if there is one. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            # Closes its pipes, and waits; of one that is gone, what was not yet written is let go.
            with suppress(BrokenPipeError), process:
                _kill(process)

    def _do(self, task: bytes) -> bytes:
        process = self._process or self._started()
        self._process = process
        timer = threading.Timer(self._timeout_s, _kill, [process])
        timer.start()
        try:
            write_frame(_pipe(process.stdin), task)
            found = read_frame(_pipe(process.stdout))
        except (OSError, ValueError):
            found = None
        finally:
            timer.cancel()
        if found is None:
            self.close()
        if not found:
            raise DependencyUnavailableError("the vector store's files could not be worked on")
        return found

    def _started(self) -> subprocess.Popen[bytes]:
        # What is written anew stays on the disk that is probed, not in a shared /tmp.
        own = {"OPENBLAS_NUM_THREADS": "1", "SQLITE_TMPDIR": str(self._directory)}
        try:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and module
                (*_COMMAND, STAYS),
                cwd=_ROOT,
                env=os.environ | own,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0,  # so that its fork ends with it
            )
        except OSError:
            message = "the vector store's files could not be worked on"
            raise DependencyUnavailableError(message) from None


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise OSError
    return stream
