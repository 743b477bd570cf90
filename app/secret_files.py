"""Files that are their owner's alone, and secrets that a first start in development makes."""

from __future__ import annotations

import contextlib
import secrets
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path


def strangers_bits(*, trusts_group: bool) -> int:
    """Return the bits of a mode by which somebody else gets at a file.

    Args:
        trusts_group: the file's group is the service's own, as on a volume that is handed over by
            group.
    """
    return stat.S_IRWXO if trusts_group else stat.S_IRWXO | stat.S_IRWXG


def count_open(paths: Iterable[Path], *, bits: int) -> int:
    """Count files and directories at and below ``paths`` that one of ``bits`` opens to others."""
    roots = [root.absolute() for root in paths]
    found = {path for root in roots for path in (root, *root.rglob("*"))}
    return sum(_is_open(path, bits=bits) for path in found)


def _is_open(path: Path, *, bits: int) -> bool:
    """Whether ``bits`` open a file or directory; one that went meanwhile is none."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and bool(mode & bits)


def create_secret_file(path: Path) -> None:
    """Write 64 random hexadecimal digits for the owner's eyes only, unless the file is there."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
        # A link, unlike a rename, never replaces what another process has begun to use.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
