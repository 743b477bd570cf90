"""Renders ``docs/settings.md`` from the settings themselves: ``make docs`` writes it."""

from __future__ import annotations

import json
import re
import types
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.settings import Settings, environment_names
from app.settings_model import PREFIX

PAGE: Final = Path(__file__).parents[2] / "docs" / "settings.md"
_HEAD: Final = """\
# Settings

Environment variables, read once at the start. A group and its setting are joined by two
underscores. A `LETHE_` name that is not on this page stops the start, and so do values out of
range and settings that contradict each other; all problems are named at once, without their
values. An empty value means unset. This page is made by `make docs` from `app/settings.py`.

`LETHE_ENV=production` refuses development tokens, a missing pepper or key-encryption key, and
inline jobs in several processes. Development tokens work on the loopback interface only.
"""


def render() -> str:
    """Return the page."""
    parts = [_HEAD]
    group = None
    for name, field in environment_names():
        head, _, rest = name.removeprefix(PREFIX).partition("__")
        here = head if rest else ""
        if here != group:
            parts.append(_title(here))
            group = here
        parts.append(f"| `{name}` | {_values(field)} | {_default(field)} | {_prose(field)} |\n")
    return "".join(parts)


def _title(group: str) -> str:
    if group:
        annotation = Settings.model_fields[group.lower()].annotation
        title = f"{group.lower()}: {str(annotation.__doc__).strip().rstrip('.')}"
    else:
        title = "General"
    return f"\n## {title}\n\n| name | values | default | meaning |\n| --- | --- | --- | --- |\n"


def _prose(field: FieldInfo) -> str:
    return re.sub(r"\s+", " ", field.description or "").replace("|", r"\|")


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "unset"
    if isinstance(field.default, SecretStr):
        return "a public one"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    if isinstance(field.default, int | float):
        return str(field.default).removesuffix(".0")
    if isinstance(field.default, frozenset):
        return f"`{json.dumps(sorted(field.default))}`"
    return f"`{field.default}`"


def _values(field: FieldInfo) -> str:
    kind, metadata = field.annotation, [*field.metadata]
    while get_origin(kind) not in {None, Literal}:  # Optional and Annotated, in any order
        inner = [part for part in get_args(kind) if part is not types.NoneType]
        metadata += inner[1:]
        kind = inner[0]
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(f"`{choice}`" for choice in kind)
    if kind is SecretStr:
        return "secret"
    names = {
        bool: "`true`, `false`",
        int: "whole number",
        float: "number",
        str: "text",
        Path: "path",
    }
    if kind not in names:
        message = f"no word for values of {kind}"
        raise TypeError(message)
    return names[kind] + _range([*metadata, *_nested(metadata)])


def _nested(metadata: list[object]) -> list[object]:
    return [limit for entry in metadata if isinstance(entry, FieldInfo) for limit in entry.metadata]


def _range(metadata: list[object]) -> str:
    bounds = []
    for limit in metadata:
        match limit:
            case Ge(ge=bound):
                bounds.append(f"≥ {bound}")
            case Gt(gt=bound):
                bounds.append(f"> {bound}")
            case Le(le=bound):
                bounds.append(f"≤ {bound}")
            case Lt(lt=bound):
                bounds.append(f"< {bound}")
            case _:
                continue
    return f", {' and '.join(bounds)}" if bounds else ""


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
