"""The OpenAPI document itself: that nothing in it is left unsaid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from app.api.application import create_app
from tests.api.conftest import Api

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document(api: Api) -> Json:
    found: Json = api.client.get("/openapi.json").json()
    return found


def operations(document: Json) -> list[Json]:
    return [one for path in document["paths"].values() for one in path.values()]


def properties(schema: Json, owner: str) -> Iterator[tuple[str, Json]]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{owner}.{name}", inner
        for form in (inner, inner.get("items", {}), *inner.get("anyOf", ())):
            yield from properties(form, f"{owner}.{name}")


def parts(document: Json) -> Iterator[tuple[str, Json]]:
    for name, schema in document["components"]["schemas"].items():
        yield from properties(schema, name)
    for operation in operations(document):
        for one in operation.get("parameters", ()):
            said = {"description": one["description"]} if "description" in one else {}
            yield f"{operation['operationId']}.{one['name']}", one["schema"] | said


def test_every_part_has_words_and_an_example_that_fits_when_the_document_is_read(
    document: Json,
) -> None:
    schemas = {"components": {"schemas": document["components"]["schemas"]}}
    found = list(parts(document))
    assert len(found) > 150

    for name, part in found:
        if "$ref" in part:
            continue
        assert part.get("description"), name
        is_fixed = "const" in part or "properties" in part
        assert is_fixed or part["examples"], name
        for example in part.get("examples", ()):
            assert jsonschema_rs.is_valid(part | schemas, example), (name, example)


def test_every_operation_has_a_name_of_its_own_when_clients_are_made(document: Json) -> None:
    names = [operation["operationId"] for operation in operations(document)]

    assert len(set(names)) == len(names)
    assert {"recommend", "forget", "previewForget", "getForgetRequest", "putItems"} <= set(names)
    assert all(name.isalpha() and name[0].islower() for name in names)


def test_every_error_is_a_problem_when_it_is_declared(document: Json) -> None:
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            is_readiness = operation["operationId"] == "getReadiness" and status == "503"
            if int(status) >= 400 and not is_readiness:
                (media_type,) = answer["content"]
                assert media_type == "application/problem+json", (operation, status)


def test_batches_and_the_export_are_lines_when_they_are_declared(document: Json) -> None:
    by_name = {one["operationId"]: one for one in operations(document)}
    for name in ("putItems", "recordInteractions"):
        assert "application/x-ndjson" in by_name[name]["requestBody"]["content"]
    exported = by_name["exportAuditLog"]["responses"]["200"]["content"]
    assert list(exported) == ["application/x-ndjson"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", "/users/me/restriction", "DELETE, PUT"),
        ("PATCH", "/items", "DELETE, GET, POST"),
        ("POST", "/livez", "GET"),
    ],
)
def test_405_names_all_methods_of_the_path_when_another_is_sent(
    api: Api, method: str, path: str, allow: str
) -> None:
    answer = api.client.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


def test_document_and_docs_are_not_there_when_they_are_switched_off(api: Api) -> None:
    paths = {
        getattr(route, "path", "")
        for route in create_app(api.client.app.state.lethe, has_docs=False).routes  # type: ignore[attr-defined]
    }

    assert paths
    assert not {"/docs", "/openapi.json"} & paths
