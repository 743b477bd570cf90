"""The OpenAPI document: FastAPI's own, with what FastAPI cannot derive added."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from app.api.errors import Problem, declared
from app.api.forget_in import ForgetLineIn
from app.domain.errors import FieldError, InvalidInputError
from app.wire.interactions import InteractionIn
from app.wire.schemas import In, ItemIn

DOCUMENT: Final = "/openapi.json"
_AT: Final = "#/components/schemas/"
_NOT_OURS: Final = frozenset({"HTTPValidationError", "ValidationError"})
"""FastAPI's own form of a 422, in which no answer of ours comes."""


_EXAMPLES: Final[dict[str, Any]] = json.loads(
    files("app.data").joinpath("examples.json").read_text(encoding="utf-8")
)
"""By name, which mostly means one thing wherever it occurs; else by owner and name."""


class DescribedApp(FastAPI):
    """An application whose OpenAPI document also has our problems and the schemas of batches."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    for address, path in document["paths"].items():
        for operation in path.values():
            if "{" in address and "404" not in operation["responses"]:
                # An id with a line end, which no address can hold, is the router's to refuse.
                operation["responses"] |= {"404": declared(404)[404]}
            if "422" in operation["responses"]:
                operation["responses"] |= {"422": declared(422)[422]}
            for parameter in operation.get("parameters", ()):
                _give_example(parameter["schema"], parameter["name"], operation["operationId"])
    _, made = models_json_schema(
        [(model, "validation") for model in (ItemIn, InteractionIn, ForgetLineIn, Problem)],
        ref_template=_AT + "{model}",
    )
    known = document["components"]["schemas"] | made["$defs"]
    document["components"]["schemas"] = {
        name: known[name] for name in sorted(known) if name not in _NOT_OURS
    }
    for name, schema in document["components"]["schemas"].items():
        _give_examples(schema, name)
    return document


def _give_examples(schema: dict[str, Any], owner: str) -> None:
    """Give each property of an object an example, and each of the objects in it."""
    for name, inner in schema.get("properties", {}).items():
        _give_example(inner, name, owner)
        for form in (inner, inner.get("items", {}), *inner.get("anyOf", ())):
            _give_examples(form, name)


def _give_example(schema: dict[str, Any], name: str, owner: str) -> None:
    if not {"$ref", "const", "properties"} & set(schema):
        example = f"{owner}.{name}"
        schema["examples"] = [_EXAMPLES[example if example in _EXAMPLES else name]]


async def require_declared(request: Request) -> None:
    """Refuse a query parameter that the document lacks: a misspelt one would silently not apply.

    Raises:
        InvalidInputError: there is one; its name is the caller's, and not told.
    """
    if not request.query_params:
        return
    paths = request.app.openapi()["paths"]
    operation = paths[request.scope["route"].path_format][request.method.lower()]
    declared_names = {one["name"] for one in operation.get("parameters", ())}
    if not declared_names.issuperset(request.query_params):
        raise InvalidInputError(FieldError("query", "holds an unknown field"))


def operation_id(route: APIRoute) -> str:
    """Return the stable name of a route's operation: its function's, in lower camel case."""
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def batch_body(model: type[In]) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route that takes a batch of ``model``."""
    entry = {"$ref": _AT + model.__name__}
    lines = {
        "type": "string",
        "description": "One JSON object a line, UTF-8.",
        "contentMediaType": "application/x-ndjson",
        "contentSchema": entry,
    }
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "array", "minItems": 1, "items": entry}},
                "application/x-ndjson": {"schema": lines},
            },
        }
    }


def lines_of(answer: str) -> dict[str, Any]:
    """Return what is declared of a 200 that has a line for each entry of a batch."""
    either = [{"$ref": _AT + name} for name in (answer, Problem.__name__)]
    media = "application/x-ndjson"
    lines = {"type": "string", "contentMediaType": media, "contentSchema": {"anyOf": either}}
    return {
        "description": "A line for each entry, in their order: the answer, or the problem.",
        "content": {media: {"schema": lines}},
    }
