"""The one rule for ids that callers choose, at every door: API, console, command line, loaders.

An id is taken as it is but for its Unicode form, which becomes NFC, so that two ways of typing
one letter are one person. Case, signs and leading zeros make a difference. Blanks at its ends and
characters that nobody sees are refused, because with them an id that looks right finds nobody.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from app.domain.errors import FieldError, InvalidInputError
from app.wire.messages import MAX_ID_CHARS

_MAX_USER_CHARS: Final = 256
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: control and format characters, surrogates, separators of lines."""
_PATTERN: Final = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$"
"""What of the rule a pattern can tell readers of the document."""


def _wrong_with(text: str) -> str | None:
    if not text.strip():
        return "must not be empty"
    if any(unicodedata.category(one) in _UNSEEN for one in text):
        return "must not hold control or format characters"
    if text != text.strip():
        return "must not begin or end with a blank"
    return None


def _rule(max_chars: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        composed = text if text.isascii() else unicodedata.normalize("NFC", text)
        is_plain = composed.isascii() and composed.isprintable() and composed.strip() == composed
        problem = None if composed and is_plain else _wrong_with(composed)
        if problem is None and len(composed) > max_chars:  # a few characters get longer
            problem = f"must have at most {max_chars} characters"
        if problem is not None:
            raise PydanticCustomError("id", problem)
        return composed

    return check


_LONG: Final = AfterValidator(_rule(_MAX_USER_CHARS))
_SEEN: Final = "no blank at either end, no control or format characters; taken in the form NFC"
UserId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=_MAX_USER_CHARS,
        json_schema_extra={"pattern": _PATTERN},
        description=f"The caller's own id of the user; 1 to 256 characters, {_SEEN}.",
    ),
    _LONG,
]
EventId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=_MAX_USER_CHARS,
        json_schema_extra={"pattern": _PATTERN},
        description="The caller's own id of the event, unique for its user; 1 to 256 characters, "
        f"{_SEEN}.",
    ),
    _LONG,
]
ItemIdIn = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_ID_CHARS,
        json_schema_extra={"pattern": _PATTERN},
        description=f"The caller's own id of the item; 1 to 128 characters, {_SEEN}.",
    ),
    AfterValidator(_rule(MAX_ID_CHARS)),
]
_USER: Final = TypeAdapter[str](UserId)
_ITEM: Final = TypeAdapter[str](ItemIdIn)


def user_id(text: object) -> str:
    """Read a user id that came by another way than a body or an address.

    Raises:
        InvalidInputError: it breaks the rule; the id is not told.
    """
    return _read(_USER, text, field="user")


def item_id(text: object) -> str:
    """Do as ``user_id`` with an item id."""
    return _read(_ITEM, text, field="item")


def _read(form: TypeAdapter[str], text: object, *, field: str) -> str:
    try:
        return form.validate_python(text, strict=True)
    except ValidationError:
        message = "is no id: 1 to 256 characters (an item's 128), " + _SEEN
        raise InvalidInputError(FieldError(field, message)) from None
