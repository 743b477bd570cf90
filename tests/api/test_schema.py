"""Whatever is sent, no answer is a 5xx: inputs made from the OpenAPI document, and around it."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok

from tests.api.conftest import ADMIN, SERVICE, Api

Operation = schemathesis.schemas.APIOperation[Any, Any, Any, Any]
_SETTINGS = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def _send_many(operation: Operation, *, mode: GenerationMode) -> None:
    headers = ADMIN if operation.path.startswith("/admin") else SERVICE

    @_SETTINGS
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case[Any]) -> None:
        response = case.call(headers=headers)
        case.validate_response(response, checks=[not_a_server_error])

    send()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_input_breaks_the_service(api: Api, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", api.client.app)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) >= 18

    for operation in operations:
        takes_input = operation.body or operation.query or operation.path_parameters
        if mode is GenerationMode.POSITIVE or takes_input:
            _send_many(operation, mode=mode)
