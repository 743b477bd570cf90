"""Reading a text file, also a ``.gz``, line by line, with positions, past lines that are broken."""

from __future__ import annotations

import codecs
import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, TypeVar, cast

from app.domain.errors import FieldError, InvalidInputError
from app.ports.dataset import START, BadLine, Position

MAX_LINE_BYTES: Final = 1 << 20
"""Far above the longest legal record (8,192 characters of text), so memory stays bounded."""
GZIP: Final = ".gz"
_MAGIC: Final = b"\x1f\x8b"  # the beginning of a gzip file, RFC 1952 section 2.3.1
_SIZE_BYTES: Final = 4  # and its end

Record = TypeVar("Record")


def refuse(message: str, *, field: str = "path") -> InvalidInputError:
    """Return the error for a data set that cannot be read at all."""
    return InvalidInputError(FieldError(field, message))


def stored_as(path: Path) -> Path:
    """Return ``path``, or where only its compressed form is there, that."""
    packed = path.with_name(path.name + GZIP)
    return packed if not path.exists() and packed.exists() else path


def plain_name(path: Path) -> Path:
    """Return ``path`` without ``.gz``."""
    return path.with_suffix("") if path.suffix == GZIP else path


def file_size(path: Path) -> int:
    """Return the size of the regular file at ``path`` in bytes, above 0; of a ``.gz``, unpacked.

    The latter is what the file itself says, which is too little above 4 GiB.

    Raises:
        InvalidInputError: it is missing, no file, not readable, or empty.
    """
    if not path.is_file():
        raise refuse(f"there is no file {path.name}")
    if not os.access(path, os.R_OK):
        raise refuse(f"{path.name} may not be read")
    size = path.stat().st_size
    if size and _is_packed(path):
        with path.open("rb") as file:
            file.seek(-min(size, _SIZE_BYTES), os.SEEK_END)
            size = int.from_bytes(file.read(), "little")
    if not size:
        raise refuse(f"{path.name} is empty")
    return size


def read_records(
    path: Path,
    *,
    make: Callable[[str, Position], Record | None],
    after: Position = START,
    encoding: str = "utf-8",
) -> Iterator[Record | BadLine]:
    """Yield what ``make`` returns for each line behind ``after``; blank lines are passed over.

    Args:
        path: a file whose lines end in LF or CR LF; a byte order mark is dropped.
        make: gets the line without its end, and the position behind it. What it raises as
            InvalidInputError becomes a BadLine; where it returns None, nothing is yielded.
        after: where an earlier reading stopped. Costs one seek.
        encoding: of the file; a line that is not in it becomes a BadLine.

    Raises:
        InvalidInputError: the file cannot be opened, or ``after`` is no line end of it.
    """
    for raw, position in raw_lines(path, after=after):
        try:
            text = _text(raw, encoding=encoding, is_first=position.line == 1)
            record = make(text, position) if text.strip() else None
        except InvalidInputError as error:
            yield BadLine(path.name, position, error.message)
        else:
            if record is not None:
                yield record


def first_line(path: Path, *, encoding: str) -> tuple[str, Position]:
    """Return the first line of a file, and the position behind it.

    Raises:
        InvalidInputError: the file cannot be opened, or its first line is not in ``encoding``.
    """
    raw, position = next(raw_lines(path, after=START))
    return _text(raw, encoding=encoding, is_first=True), position


def raw_lines(path: Path, *, after: Position = START) -> Iterator[tuple[bytes, Position]]:
    """Yield lines as bytes; of one that is too long, its first MAX_LINE_BYTES + 1 bytes.

    Raises:
        InvalidInputError: as ``read_records``, or the file is compressed and damaged.
    """
    file_size(path)
    try:
        with _opened(path) as file:
            _go_to(file, after, name=path.name)
            number, offset = after.line, after.offset
            while raw := file.readline(MAX_LINE_BYTES + 1):
                offset += len(raw)
                rest = raw
                while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                    rest = file.readline(MAX_LINE_BYTES + 1)
                    offset += len(rest)
                number += 1
                yield raw, Position(line=number, offset=offset)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise refuse(f"{path.name} is not a whole gzip file: copy it again") from error


def _is_packed(path: Path) -> bool:
    """Whether a file is compressed, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _opened(path: Path) -> IO[bytes]:
    if _is_packed(path):
        return cast("IO[bytes]", gzip.open(path))
    return path.open("rb")


def _go_to(file: IO[bytes], position: Position, *, name: str) -> None:
    """Move to ``position``; a file that was changed since must not be read from mid-line."""
    if position == START:
        return
    file.seek(position.offset - 1)
    last = file.read(1)
    is_at_end = last != b"" and file.read(1) == b""
    if last != b"\n" and not is_at_end:
        raise refuse(f"{name} has changed: no line ends at the remembered position")
    file.seek(position.offset)


def _text(raw: bytes, *, encoding: str, is_first: bool) -> str:
    if len(raw) > MAX_LINE_BYTES:
        raise refuse(f"has more than {MAX_LINE_BYTES} bytes", field="line")
    if is_first:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise refuse(f"is not {encoding.upper()}", field="line") from error
