"""Which encoding a file of tables is in: told, or UTF-8, or Western European, or refused.

No guess from statistics (as charset-normalizer makes): a title of three words is too short for
one, and a catalogue that is guessed wrong is garbled without a word. UTF-8 proves itself, because
hardly any other text is valid UTF-8; what is not, is Windows-1252 (of which Latin-1 is a part) if
it looks like a Western language. Anything else has to be named.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Final

from app.adapters.datasets.lines import raw_lines, refuse
from app.ports.dataset import Position

WESTERN: Final = "cp1252"
_UTF8: Final = "utf-8"
_FOREIGN: Final = re.compile(
    rb"[\x81\x8d\x8f\x90\x9d]"  # what Windows-1252 leaves free
    rb"|[\xc0-\xff]{3}|[\x80-\xff]{4}"  # other scripts: whole words of such letters
    rb"|[A-Za-z][\xa1-\xa9\xab-\xb3\xb5\xb6\xb8\xb9\xbb-\xbf][A-Za-z]"  # a sign within a word
)


def encoding_of(path: Path, *, told: str | None) -> str:
    """Return the name of the encoding of ``path``; without ``told``, the whole file is read.

    A file with lines that are UTF-8 beyond ASCII and lines that are not counts as UTF-8, with
    damaged lines.

    Raises:
        InvalidInputError: ``told`` is no encoding whose lines end in the byte LF, or the file's
            own cannot be known.
    """
    if told is not None:
        return _checked(told)
    western = 0  # lines that are not UTF-8
    foreign: Position | None = None
    for raw, position in raw_lines(path):
        if position.line == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise refuse(f"{path.name} is in UTF-16: save it as UTF-8", field="encoding")
        if raw.isascii():
            continue
        if _is_utf8(raw):
            return _UTF8
        western += 1
        foreign = foreign or (position if _FOREIGN.search(raw) else None)
    if foreign:
        raise refuse(
            f"{path.name}, line {foreign.line}: neither UTF-8 nor Western European; "
            "name its encoding, such as --encoding cp1251",
            field="encoding",
        )
    return WESTERN if western else _UTF8


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode(_UTF8)
    except UnicodeDecodeError:
        return False
    return True


def _checked(name: str) -> str:
    try:
        is_by_lines = "\n".encode(name) == b"\n"
    except (LookupError, UnicodeError) as error:
        raise refuse(
            "is not known to Python; try utf-8, cp1252 or latin-1", field="encoding"
        ) from error
    if not is_by_lines:
        raise refuse("cannot be read by lines: save the file as UTF-8", field="encoding")
    return codecs.lookup(name).name
