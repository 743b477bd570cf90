"""Reading a document field by field, so that every error names the field."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NoReturn

from app.domain.errors import FieldError, InvalidInputError

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)


def format_time(at: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC with microseconds: one form for one instant."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def decode_base64(text: str) -> bytes | None:
    """Return what standard base64 ``text`` stands for, or None if it is not its only spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


class Fields:
    """An object's fields, each read at most once by its name and type.

    Every method raises InvalidInputError, with the dotted path of the field, where the field is
    missing or is something else.
    """

    def __init__(self, value: object, *, path: str) -> None:
        """Take ``value``, which must be an object; ``path`` is its own dotted path, or ""."""
        self._path = path
        if not isinstance(value, Mapping):
            self._refuse_whole("not an object")
        self._rest = dict(value)

    def finish(self) -> None:
        """Refuse fields that nobody read."""
        for name in sorted(self._rest):
            self.refuse(name, "unknown field")

    def refuse(self, name: str, message: str) -> NoReturn:
        """Raise the error that ``name`` is wrong."""
        raise InvalidInputError(FieldError(self.path_of(name), message))

    def path_of(self, name: str) -> str:
        """Return the dotted path of a field."""
        return f"{self._path}.{name}" if self._path else name

    def has(self, name: str) -> bool:
        """Whether there is such a field that nobody has read."""
        return name in self._rest

    def text(self, name: str) -> str:
        """Return a string that is not empty."""
        value = self._take(name)
        if not isinstance(value, str) or not value:
            self.refuse(name, "not a text")
        return value

    def constant(self, name: str, *, expected: str) -> None:
        """Read a string that can only be ``expected``."""
        if self._take(name) != expected:
            self.refuse(name, f"not {expected}")

    def count(self, name: str) -> int:
        """Return an integer >= 0."""
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.refuse(name, "not a whole number from 0 up")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean."""
        value = self._take(name)
        if not isinstance(value, bool):
            self.refuse(name, "not true or false")
        return value

    def time(self, name: str) -> datetime:
        """Return an aware UTC time from the one form that ``format_time`` writes."""
        value = self._take(name)
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            self.refuse(name, "not a time like 2026-01-31T12:00:00.000000Z")
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            self.refuse(name, "not a time of the calendar")

    def hex_bytes(self, name: str, *, n_bytes: int) -> bytes:
        """Return ``n_bytes`` bytes from lower-case hex digits."""
        value = self._take(name)
        is_hex = isinstance(value, str) and len(value) == 2 * n_bytes and _HEX.fullmatch(value)
        if not isinstance(value, str) or not is_hex:
            self.refuse(name, f"not {2 * n_bytes} hex digits")
        return bytes.fromhex(value)

    def optional_hex_bytes(self, name: str, *, n_bytes: int) -> bytes | None:
        """Return what ``hex_bytes`` does, or None for null."""
        if name in self._rest and self._rest[name] is None:
            del self._rest[name]
            return None
        return self.hex_bytes(name, n_bytes=n_bytes)

    def base64_bytes(self, name: str, *, n_bytes: int) -> bytes:
        """Return ``n_bytes`` bytes from standard base64."""
        data = decode_base64(self.text(name))
        if data is None or len(data) != n_bytes:
            self.refuse(name, f"not {n_bytes} bytes in base64")
        return data

    def inner(self, name: str) -> Fields:
        """Return an inner object."""
        return Fields(self._take(name), path=self.path_of(name))

    def inner_list(self, name: str) -> list[Fields]:
        """Return a list of objects."""
        return [
            Fields(value, path=f"{self.path_of(name)}.{number}")
            for number, value in enumerate(self._list(name))
        ]

    def texts(self, name: str) -> list[str]:
        """Return a list of strings, none empty."""
        values = self._list(name)
        for number, value in enumerate(values):
            if not isinstance(value, str) or not value:
                self.refuse(f"{name}.{number}", "not a text")
        return [str(value) for value in values]

    def _list(self, name: str) -> list[object]:
        value = self._take(name)
        if not isinstance(value, list):
            self.refuse(name, "not a list")
        return list(value)

    def _take(self, name: str) -> object:
        if name not in self._rest:
            self.refuse(name, "missing")
        return self._rest.pop(name)

    def _refuse_whole(self, message: str) -> NoReturn:
        raise InvalidInputError(FieldError(self._path or "document", message))
