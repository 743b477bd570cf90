"""Canonical JSON: the one form in which a document is signed, hashed and handed out.

The form is RFC 8785 (JSON Canonicalization Scheme) for documents without fractions. RFC 8785
differs from sorted, compact ``json.dumps`` only where it formats floats and where it sorts
names outside ASCII; both are refused here, so the form can be made with the standard library
of any language. Quantities that would need a fraction are integers in a smaller unit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NoReturn

from app.domain.errors import FieldError, InvalidInputError

LARGEST_INTEGER: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly, RFC 8785 section 3.2.2.3."""


def canonical_json(value: object) -> bytes:
    """Return the canonical UTF-8 bytes of ``value``.

    Args:
        value: nested dicts with ASCII names, lists, tuples, strings, integers of at most 53
            bits, booleans and None.

    Raises:
        InvalidInputError: anything else is in it; names the place.
    """
    _require_plain(value, path="")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse_canonical(data: bytes, *, name: str) -> object:
    """Read what ``canonical_json`` wrote, and nothing else.

    One value has one form, so a document that was changed in any byte, even in white space, is
    either refused here or says something else.

    Raises:
        InvalidInputError: not JSON, or not in canonical form; ``name`` is the field it names.
    """
    value = parse_json(data, name=name)
    if canonical_json(value) != data:
        raise InvalidInputError(FieldError(name, "not in canonical form"))
    return value


def parse_json(data: bytes, *, name: str) -> object:
    """Read JSON in any layout, without fractions, repeated names or numbers that JSON lacks.

    Raises:
        InvalidInputError: it is not that; ``name`` is the field it names.
    """

    def refuse(text: str) -> NoReturn:
        raise InvalidInputError(FieldError(name, f"{text} is not a whole number"))

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise InvalidInputError(FieldError(name, "a name occurs twice in one object"))
        return found

    try:
        parsed: object = json.loads(
            data.decode(), parse_float=refuse, parse_constant=refuse, object_pairs_hook=unique
        )
    except (ValueError, RecursionError) as error:
        # UnicodeDecodeError and JSONDecodeError are ValueErrors, an integer too long to read too.
        raise InvalidInputError(FieldError(name, "not JSON in UTF-8")) from error
    return parsed


def _require_plain(value: object, *, path: str) -> None:
    match value:
        case None | bool():
            return
        case str():
            _require(value.isascii() or _is_unicode(value), path, "a half of a surrogate pair")
        case int():
            _require(abs(value) <= LARGEST_INTEGER, path, "an integer of more than 53 bits")
        case Mapping():
            for key, inner in value.items():
                _require(isinstance(key, str) and key.isascii(), path, "a name outside ASCII")
                _require_plain(inner, path=f"{path}.{key}" if path else str(key))
        case list() | tuple():
            for number, inner in enumerate(value):
                _require_plain(inner, path=f"{path}.{number}" if path else str(number))
        case _:
            _require(False, path, f"a {type(value).__name__}")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _require(holds: bool, path: str, what: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise InvalidInputError(FieldError(path or "document", f"{what} has no canonical form"))
