"""The Probe port over files, in a process that has no database open."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import app
from app.adapters.probe.messages import decode_reports, encode_task
from app.adapters.probe.stores import ProbedStore
from app.domain.erasure.residue import Needles, ProbeReport
from app.domain.errors import DependencyUnavailableError

_ROOT: Final = Path(next(iter(app.__path__))).parent


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
        task = encode_task(self._stores, groups=groups, control=control, key=key)
        # A traceback of the child may quote a needle: its words are dropped, never logged.
        try:
            done = subprocess.run(
                [sys.executable, "-m", "app.adapters.probe"],
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
