"""Makes a process overwrite the memory it frees, so that no old data get into Chroma's files.

Chroma writes the first file of an index with 100 slots and fills the unused ones from
uninitialised memory: texts, ids and vectors of anybody (docs/decisions/0008).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

VARIABLE: Final = "MALLOC_PERTURB_"
VALUE: Final = "165"
"""glibc fills freed memory with this byte, new memory with its complement; any but 0 works."""
_TUNABLES: Final = "GLIBC_TUNABLES="
_TUNABLE: Final = "glibc.malloc.perturb"


def is_heap_overwritten(pid: int | None = None) -> bool | None:
    """Whether glibc's malloc of a process overwrites memory: MALLOC_PERTURB_ or its tunable.

    glibc reads the setting when a process starts, so the environment of that moment counts, not
    ``os.environ``.

    Args:
        pid: of the process that writes: the Chroma server, or None for this one (embedded).

    Returns:
        None if it cannot be known: a process in another container, or not Linux.
    """
    try:
        raw = Path(f"/proc/{os.getpid() if pid is None else pid}/environ").read_bytes()
    except OSError:
        return None
    # glibc 2.36 cuts GLIBC_TUNABLES at its colons in place, later ones leave it whole.
    entries = os.fsdecode(raw).removeprefix(_TUNABLES).replace(f"\0{_TUNABLES}", "\0")
    settings = dict(entry.partition("=")[::2] for entry in re.split("[\0:]", entries))
    values = (settings.get(VARIABLE, "0"), settings.get(_TUNABLE, "0"))
    return any(value.isdigit() and int(value) for value in values)


def require_overwritten_heap() -> None:
    """Restart this program in the same process with the setting on, unless it is on already.

    Call it first in a program that will open Chroma embedded; if it restarts, it does not return.
    Outside Linux, or with another C library, it does nothing.
    """
    is_new = os.environ.get(VARIABLE) is None
    if is_new and is_heap_overwritten() is False:
        os.execve(sys.executable, sys.orig_argv, os.environ | {VARIABLE: VALUE})  # noqa: S606 - us
