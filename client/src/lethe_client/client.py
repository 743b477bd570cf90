"""The client that waits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Self, TypeVar

import httpx

from lethe_client import calls
from lethe_client.calls import BATCH, EVERYTHING, FINAL, Call
from lethe_client.errors import UnavailableError
from lethe_client.models import (
    Accepted,
    Erasure,
    Ingested,
    Interaction,
    Item,
    ItemsStored,
    Preview,
    Recommendation,
    Rights,
    Scope,
)
from lethe_client.sending import PATIENT, Patience, answer, headers

T = TypeVar("T")


class Lethe:
    """A service, asked from ordinary code. Close it, or use it in a ``with`` block.

    Args:
        url: where the service is, such as ``http://127.0.0.1:8000``.
        token: a service, user or administrator token.
        timeout_s: seconds for one try.
        http: an own ``httpx.Client`` whose base is the service; it is not closed here.

    Every method raises RefusedError where the service says no, and UnavailableError where it does
    not answer or is not ready after ``patience``.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 30.0,
        patience: Patience = PATIENT,
        http: httpx.Client | None = None,
    ) -> None:
        self._http = http or httpx.Client(base_url=url, timeout=timeout_s)
        self._is_own = http is None
        self._token = token
        self._patience = patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections."""
        if self._is_own:
            self._http.close()

    def recommend(self, user: str | None = None, **options: object) -> Recommendation:
        """Return a list for a user; ``options`` are the fields of ``POST /recommend``."""
        return self._send(calls.recommend(user, options))

    def recommend_many(
        self, asked: Iterable[Mapping[str, object]], *, distinct: bool = False
    ) -> Iterator[Recommendation]:
        """Yield a list for each entry (fields of ``POST /recommend``), as they are made."""
        call = calls.recommend_many(asked, distinct=distinct)
        response = self._answered(call, is_stream=True)
        try:
            for line in response.iter_lines():
                yield json.loads(line)
        finally:
            response.close()

    def add_items(self, items: Iterable[Item]) -> ItemsStored:
        """Send entries of the catalogue, however many."""
        total: ItemsStored = {"received": 0, "changed": 0}
        for batch in calls.batches(items, BATCH):
            calls.add_items(total, self._send(calls.items(batch)))
        return total

    def add_interactions(
        self,
        interactions: Iterable[Interaction],
        *,
        skip_bad: bool = False,
        renewed_consent: bool = False,
    ) -> Ingested:
        """Send what users did, however much; indexes in ``errors`` count from the first."""
        total = calls.nothing_ingested()
        for number, batch in enumerate(calls.batches(interactions, BATCH)):
            call = calls.interactions(batch, skip_bad=skip_bad, renewed_consent=renewed_consent)
            calls.add_ingested(total, self._send(call), first=number * BATCH)
        return total

    def preview(self, user: str, scope: Scope = EVERYTHING) -> Preview:
        """Return what ``forget`` would take."""
        return self._send(calls.preview(user, scope))

    def forget(
        self, user: str, scope: Scope = EVERYTHING, *, idempotency_key: str | None = None
    ) -> Accepted:
        """Have it forgotten: from the return on, no answer rests on it. Keep the receipt."""
        return self._send(calls.forget(user, scope, key=idempotency_key))

    def erasure(self, request_id: str) -> Erasure:
        """Return how far an erasure is."""
        return self._send(calls.erasure(request_id))

    def wait(self, request_id: str, *, timeout_s: float = 120.0, every_s: float = 0.5) -> Erasure:
        """Return an erasure that is completed, rejected or failed, with its certificate.

        Raises:
            TimeoutError: it is not, yet; the service goes on with it.
        """
        deadline = time.monotonic() + timeout_s
        while (found := self.erasure(request_id))["status"] not in FINAL:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the erasure is {found['status']}")
            time.sleep(every_s)
        return found

    def export(self, user: str) -> dict[str, Any]:
        """Return everything that is held of a user (GDPR Art. 15 and 20)."""
        return self._send(calls.export(user))

    def exercise(self, user: str, right: Literal["restriction", "objection"]) -> Rights:
        """Let a user's data count in nobody's recommendations (GDPR Art. 18, 21)."""
        return self._send(calls.right(user, right, in_force=True))

    def lift(self, user: str, right: Literal["restriction", "objection"]) -> Rights:
        """Take a right back that was exercised."""
        return self._send(calls.right(user, right, in_force=False))

    def _send(self, call: Call[T]) -> T:
        result: T = answer(self._answered(call))
        return result

    def _answered(self, call: Call[Any], *, is_stream: bool = False) -> httpx.Response:
        request = self._http.build_request(
            call.method,
            call.path,
            params=call.params,
            content=call.content,
            headers=headers(self._token, call.headers),
        )
        attempt = 0
        while True:
            response = self._tried(request, is_stream=is_stream)
            if response is not None and response.is_success:
                return response
            wait_s = self._patience.wait_s(attempt, response)
            if wait_s is None:
                if response is None:
                    raise UnavailableError("the service did not answer")
                response.read()
                answer(response)
            elif response is not None:
                response.close()
            time.sleep(wait_s or 0.0)
            attempt += 1

    def _tried(self, request: httpx.Request, *, is_stream: bool) -> httpx.Response | None:
        """Return the answer, None where there was none; addresses may name users, so no error."""
        try:
            return self._http.send(request, stream=is_stream)
        except httpx.TransportError:
            return None
