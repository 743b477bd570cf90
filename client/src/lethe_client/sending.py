"""How a call is sent: what is tried again, how long is waited, what an error says."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from lethe_client.errors import RefusedError

RETRIED = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How often a call is repeated and how long is waited in between.

    Args:
        retries: repetitions after the first try.
        first_s: seconds before the first of them; doubled each time, with chance in it.
        longest_s: no wait is longer, whatever the service asks for.
    """

    retries: int = 4
    first_s: float = 0.2
    longest_s: float = 30.0

    def wait_s(self, attempt: int, response: httpx.Response | None) -> float | None:
        """Return the seconds to wait after try ``attempt`` (from 0), None to give up.

        ``response`` is None where there was no answer. A service that says when to come back
        (``Retry-After``) is not asked earlier.
        """
        if response is not None and response.status_code not in RETRIED:
            return None
        if attempt >= self.retries:
            return None
        told = None if response is None else _retry_after_s(response.headers.get("Retry-After"))
        if told is not None:
            return min(told, self.longest_s)
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - so that callers do not come back together
        return float(min(self.first_s * 2**attempt * spread, self.longest_s))


PATIENT = Patience()


def _retry_after_s(value: str | None) -> float | None:
    """Read seconds or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def headers(token: str, own: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a call."""
    return {"Authorization": f"Bearer {token}", **own}


def refusal(response: httpx.Response) -> RefusedError:
    """Return what an answer that is no success says."""
    try:
        problem = json.loads(response.content)
    except ValueError:
        problem = {}
    problem = problem if isinstance(problem, dict) else {}
    fields = {one["field"]: one["message"] for one in problem.get("errors", [])}
    return RefusedError(
        status=response.status_code,
        code=str(problem.get("code", "unknown")),
        detail=str(problem.get("detail", response.reason_phrase)),
        fields=fields,
    )


def answer(response: httpx.Response) -> Any:  # noqa: ANN401 - typed by the call
    """Return the JSON of a success.

    Raises:
        RefusedError: it is none.
    """
    if not response.is_success:
        raise refusal(response)
    return json.loads(response.content) if response.content else None
