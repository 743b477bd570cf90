"""Whatever is sent, and whoever sends it, the OpenAPI document has said what is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok

from tests.api.conftest import ADMIN, SERVICE, Api

Schema = schemathesis.schemas.BaseSchema
Operation = schemathesis.schemas.APIOperation[Any, Any, Any, Any]
_NOT_SAID: Final = "2xx", 401, 403, 404, 409, 422
"""Answers to what fits the document: it cannot say that an item must be known, a note have text, a
period begin before it ends, and nothing lie in the future; so 422 stays possible."""
_CONFIG: Final = {
    "generation": {"with-security-parameters": False},  # the token is each role's
    "checks": {
        "positive_data_acceptance": {"expected-statuses": list(_NOT_SAID)},
        "negative_data_rejection": {"expected-statuses": ["4xx"]},
    },
    "operations": [
        # Bad entries are named beside those that were taken (of /interactions: on_error=skip).
        {
            "include-path": path,
            "checks": {"negative_data_rejection": {"expected-statuses": ["2xx", "4xx"]}},
        }
        for path in ("/interactions", "/forget/batch")
    ],
}
ROLES: Final = "service", "admin", "user", "stranger", "nobody"


def _settings(n_examples: int, *, n_steps: int = 1) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=n_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        stateful_step_count=n_steps,
    )


def _as_lines(value: object) -> bytes:
    """Write what follows from another call as lines; what was made up is bytes already."""
    if isinstance(value, bytes):
        return value
    entries = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(entry).encode() for entry in entries)


def filter_query(context: schemathesis.HookContext, query: Mapping[str, object] | None) -> bool:
    """Leave out what no server can tell from a list of texts: in an address all is text.

    ``exclude=true`` is a list of one, whatever the generator took ``true`` for.
    """
    assert context.operation is not None
    lists = {one.name for one in context.operation.query if "'array'" in str(one.definition)}
    given = [query[name] for name in lists if query and name in query]
    return all(
        isinstance(each, list) and all(isinstance(one, str) for one in each) for each in given
    )


@pytest.fixture(scope="module")
def schema(api: Api) -> Schema:
    schemathesis.openapi.media_type("application/x-ndjson", st.binary(max_size=64))
    config = SchemathesisConfig.from_dict(_CONFIG)
    found = schemathesis.openapi.from_asgi("/openapi.json", api.client.app, config=config)
    found.hooks.hook(filter_query)
    return found


def _headers(api: Api, role: str) -> Mapping[str, str]:
    return {
        "service": SERVICE,
        "admin": ADMIN,
        "user": api.user_token("me"),
        "stranger": {"Authorization": "Bearer something"},
        "nobody": {},
    }[role]


def _send_many(
    operation: Operation, *, mode: GenerationMode, headers: Mapping[str, str], n_examples: int
) -> None:
    @_settings(n_examples)
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=dict(headers))

    send()


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_a_declared_one_when_anything_is_sent_to_one_operation(
    api: Api, schema: Schema, role: str, mode: GenerationMode
) -> None:
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) >= 30
    headers = _headers(api, role)

    for operation in operations:
        is_let_in = role == ("admin" if operation.path.startswith("/admin") else "service")
        takes_input = operation.body or operation.query or operation.path_parameters
        if mode is GenerationMode.POSITIVE or takes_input:
            n_examples = 10 if is_let_in else 2
            _send_many(operation, mode=mode, headers=headers, n_examples=n_examples)


@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_a_declared_one_when_one_call_follows_from_another(
    api: Api, schema: Schema, role: str
) -> None:
    headers = _headers(api, role)
    machine = schema.as_state_machine()

    class Calls(machine):  # type: ignore[valid-type, misc] # made from the document
        def before_call(self, case: schemathesis.Case[Any]) -> None:
            if case.media_type == "application/x-ndjson":
                case.body = _as_lines(case.body)

        def get_call_kwargs(self, case: schemathesis.Case[Any]) -> dict[str, Any]:
            return {"headers": headers}

    Calls.run(settings=_settings(8, n_steps=5))
