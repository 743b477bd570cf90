"""What is wrong with what was sent, in our words: fields and limits, and never a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.domain.errors import FieldError

MAX_ID_CHARS: Final = 128
MAX_LIST: Final = 64
MAX_ATTRIBUTE_CHARS: Final = 512
MAX_ABS_VALUE: Final = 1e6
_MESSAGES: Final = {
    "missing": "is required",
    "extra_forbidden": "holds an unknown field",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "list_type": "must be a JSON array",
    "string_type": "must be a string",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_unicode": "must not hold control characters or lone surrogates",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "finite_number": f"must lie between -{MAX_ABS_VALUE:g} and {MAX_ABS_VALUE:g}",
    "enum": "must be one of {expected}",
    "union_tag_invalid": "must be one of {expected_tags}",
    "uuid_parsing": "must be a UUID",
}
"""By pydantic's type of error, where its own words are about Python or repeat what was sent."""
_NAME: Final = f"a name must be printable, up to {MAX_ID_CHARS} characters"
_VALUE: Final = (
    f"a value must be a string of up to {MAX_ATTRIBUTE_CHARS} characters, a finite number, "
    f"a boolean, or a list of up to {MAX_LIST} of them"
)
"""Of an item's attributes, whose names are not told either."""


def field_errors(details: Sequence[Mapping[str, Any]], *, at: str = "") -> list[FieldError]:
    """Return what pydantic found, in our words: each thing once, and no value or made-up name.

    Args:
        details: of a ValidationError, the input included; it decides on words and is not repeated.
            ``place`` may say what an error is in that has no field, such as ``query``.
        at: path of the object in its body.
    """
    found: dict[FieldError, None] = {}
    for one in details:
        path, message = _place(one)
        field = ".".join([at, *path] if at else path) or one.get("place", "body")
        found[FieldError(field, message)] = None
    return list(found)


def _place(one: Mapping[str, Any]) -> tuple[list[str], str]:
    path = [str(part) for part in one["loc"]]
    if "attributes" in path[:-1]:
        where = path[: path.index("attributes") + 1]
        return where, _NAME if path[-1] == "[key]" else _VALUE
    kind, sent = one["type"], one.get("input")
    if kind == "extra_forbidden":  # the name is the caller's, and may be anybody's
        return path[:-1], _MESSAGES[kind]
    if kind == "string_pattern_mismatch":
        is_blank = isinstance(sent, str) and not sent.strip()
        return path, "must not be empty" if is_blank else _MESSAGES["string_unicode"]
    if sent is None and kind == "string_type":
        kind = "missing"
    if kind == "string_too_short" and one["ctx"]["min_length"] == 1:
        return path, "must not be empty"
    if kind in {"greater_than_equal", "less_than_equal"} and path[-1:] == ["value"]:
        kind = "finite_number"
    return path, _MESSAGES.get(kind, str(one["msg"])).format_map(one.get("ctx", {}))
