"""A running service, asked over HTTP by the commands that take ``--url``."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, NoReturn, Self
from uuid import uuid4

import httpx

from app.domain.errors import DependencyUnavailableError, FieldError, InvalidInputError

FINAL: Final = frozenset({"completed", "rejected", "failed"})
_TIMEOUT_S: Final = 60.0
_ASK_AGAIN_S: Final = 0.3
_NOBODY: Final = "no service answers at --url; start one with: lethe serve --demo"


class Remote:
    """A service at an address.

    Args:
        url: its address, such as ``http://127.0.0.1:8000``.
        token: a service token.
        transport: how it is reached, if not over the network.
    """

    def __init__(
        self, url: str, *, token: str, transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT_S, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def post(self, path: str, body: object, *, key: str | None = None) -> dict[str, Any]:
        """Send JSON and return the answer's.

        Raises:
            InvalidInputError: the service says no.
            DependencyUnavailableError: it does not answer.
        """
        headers = {"Idempotency-Key": key} if key else {}
        return self._asked("POST", path, json=body, headers=headers)

    def get(self, path: str) -> dict[str, Any]:
        """Return what a path answers; raises as ``post`` does."""
        return self._asked("GET", path)

    def forget(self, user: str, scope: dict[str, object]) -> dict[str, Any]:
        """Have something forgotten; returns what was accepted, with the receipt."""
        return self.post("/forget", {"user": user, "scope": scope}, key=uuid4().hex)

    def erasure(self, request_id: str) -> dict[str, Any]:
        """Return how far an erasure is."""
        return self.get(f"/forget/{request_id}")

    def finished(self, request_id: str, *, final: Collection[str] = FINAL) -> dict[str, Any]:
        """Wait until an erasure is completed, rejected or failed; return it."""
        while (found := self.erasure(request_id))["status"] not in final:
            time.sleep(_ASK_AGAIN_S)
        return found

    def stream(self, path: str, entries: Sequence[object]) -> Iterator[dict[str, Any]]:
        """Send a batch and yield the answer's lines as they come.

        Raises:
            InvalidInputError: the service says no.
            DependencyUnavailableError: it does not answer, or the answer broke off.
        """
        lines = "".join(json.dumps(entry) + "\n" for entry in entries)
        headers = {"Content-Type": "application/x-ndjson"}
        try:
            with self._http.stream("POST", path, content=lines, headers=headers) as response:
                if not response.is_success:
                    response.read()
                    _refuse(response)
                yield from map(json.loads, response.iter_lines())
        except httpx.TransportError as error:
            raise DependencyUnavailableError(_NOBODY) from error

    def _asked(self, method: str, path: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - as httpx takes
        try:
            response = self._http.request(method, path, **given)
        except httpx.TransportError as error:
            raise DependencyUnavailableError(_NOBODY) from error
        if not response.is_success:
            _refuse(response)
        return _read(response)


def _refuse(response: httpx.Response) -> NoReturn:
    if response.status_code in {401, 403}:
        told = "the service does not take it; give another, or set LETHE_TOKEN"
        raise InvalidInputError(FieldError("--token", told))
    detail = str(_read(response).get("detail", response.reason_phrase))
    raise InvalidInputError(FieldError("the service says", detail))


def _read(response: httpx.Response) -> dict[str, Any]:
    """Return the answer's JSON, or nothing where it is none (a proxy's page)."""
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
