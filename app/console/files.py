"""The console's scripts and styles, and Swagger UI's: read once, cached by their digest."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Final

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FILES: Final = {
    entry.name: entry.read_bytes()
    for folder in ("static", "static/swagger-ui")
    for entry in sorted(files("app.console").joinpath(folder).iterdir(), key=str)
    if entry.name.endswith(tuple(_TYPES))
}
"""Content by name; nothing else is served, so no name can lead anywhere."""
VERSION: Final = hashlib.sha256(b"".join(FILES.values())).hexdigest()[:12]
"""Part of every file's address: a browser keeps a file for ever, and a new release is new files."""


def media_type(name: str) -> str:
    """Return the content type of one of ``FILES``."""
    return next(kind for suffix, kind in _TYPES.items() if name.endswith(suffix))
