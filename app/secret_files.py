"""Secrets that a first start in development makes for itself."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from pathlib import Path


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
