"""Renders the reference of all routes from the OpenAPI document: ``make site`` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from app.api.application import create_app
from app.api.state import Limits, Security, State
from app.container import Container
from app.observability import Metrics

PAGE: Final = Path(__file__).parents[2] / "docs" / "api.md"
_HEAD: Final = """\
# Routes

Made from the OpenAPI document, which a running service has at `/openapi.json` and, to try things,
at `/docs`. Tokens go into `Authorization: Bearer …`. What is wrong is told as
`application/problem+json` with a stable `code`.
"""


def document() -> dict[str, Any]:
    """Return the OpenAPI document of the application, without opening any store."""
    nothing = cast("Container", None)
    state = State(nothing, Security("-", "-"), Limits(1, 1), Metrics())
    return create_app(state).openapi()


def render() -> str:
    """Return the page."""
    found = document()
    return _HEAD + "".join(_routes(found)) + "\n## Forms\n" + "".join(_forms(found))


def _routes(found: dict[str, Any]) -> Iterator[str]:
    group = None
    for path, methods in found["paths"].items():
        for method, route in methods.items():
            if method not in {"get", "post", "put", "delete"}:
                continue
            here = (route.get("tags") or ["Other"])[0]
            if here != group:
                group = here
                yield f"\n## {str(here).capitalize()}\n"
            yield f"\n### `{method.upper()} {path}`\n\n{_prose(route.get('description'))}\n\n"
            yield from _parameters(route)
            yield from _answers(route)


def _parameters(route: dict[str, Any]) -> Iterator[str]:
    given = [(one["name"], one["in"], one) for one in route.get("parameters", [])]
    body = route.get("requestBody", {}).get("content", {})
    if not given and not body:
        return
    yield "| takes | where | what |\n| --- | --- | --- |\n"
    for name, where, one in given:
        yield f"| `{name}` | {where} | {_cell(one.get('description'), one.get('schema', {}))} |\n"
    for kind, form in body.items():
        yield f"| body | `{kind}` | {_kind(form.get('schema', {}))} |\n"
    yield "\n"


def _answers(route: dict[str, Any]) -> Iterator[str]:
    told = []
    for status, answer in route["responses"].items():
        forms = [_kind(form.get("schema", {})) for form in answer.get("content", {}).values()]
        is_good = status.startswith("2")
        told.append(f"{status}: {forms[0]}" if is_good and forms and forms[0] else f"{status}")
    yield f"Answers {', '.join(told)}.\n"


def _forms(found: dict[str, Any]) -> Iterator[str]:
    for name, form in sorted(found["components"]["schemas"].items()):
        yield f"\n### {name}\n\n{_prose(form.get('description'))}\n\n"
        if "enum" in form:
            yield "One of " + ", ".join(f"`{value}`" for value in form["enum"]) + ".\n"
        fields = form.get("properties", {})
        if fields:
            yield "| field | type | meaning |\n| --- | --- | --- |\n"
        for field, schema in fields.items():
            needed = "" if field in form.get("required", []) else ", optional"
            told = _cell(schema.get("description"), {})
            yield f"| `{field}` | {_kind(schema)}{needed} | {told} |\n"


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(filter(None, (_kind(one) for one in schema["anyOf"])))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {})) or 'values'}"
    return str(schema.get("type", json.dumps(schema["const"]) if "const" in schema else ""))


def _cell(text: str | None, schema: dict[str, Any]) -> str:
    prose = " ".join((text or "").split()).replace("|", r"\|")
    return f"{_kind(schema)}. {prose}" if schema and prose else prose or _kind(schema)


def _prose(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
