"""The API as a caller uses it, and a small world to send it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx

from app.settings_groups import DEVELOPMENT_ADMIN_TOKEN, DEVELOPMENT_SERVICE_TOKEN
from tests.e2e.processes import wait_for

_SUBJECTS: Final = (
    "whales rivers crowns ghosts trains islands winters orchards comets clocks",
    "mirrors harbours deserts lanterns bridges wolves gardens letters storms violins",
)
ITEMS: Final = [
    {"item_id": f"i{n:02}", "title": f"Title {n}", "description": f"A story about {word}."}
    for n, word in enumerate(" ".join(_SUBJECTS).split())
]
Json = dict[str, Any]


def user(n: int) -> str:
    """Return the id of user ``n``."""
    return f"user-{n:04}@example.org"


def interactions(n: int) -> list[Json]:
    """Return what user ``n`` did: four ratings and a note."""
    taken = sorted({(n + step) % len(ITEMS) for step in (0, 1, 3, 7)})
    rated = [
        {
            "event_id": f"e{n}-{item}",
            "user": user(n),
            "item_id": f"i{item:02}",
            "kind": "rating",
            "value": 3 + (n + item) % 3,
            "occurred_at": f"2026-01-{1 + item:02}T10:00:00Z",
        }
        for item in taken
    ]
    note = {
        "event_id": f"e{n}-note",
        "user": user(n),
        "kind": "note",
        "occurred_at": "2026-02-01T10:00:00Z",
        "text": f"Number {n} likes quiet books about {ITEMS[taken[0]]['description'][14:-1]}.",
    }
    return [*rated, note]


class Api:
    """Calls with the development tokens."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        self._client = httpx.Client(base_url=url, timeout=timeout_s)

    def close(self) -> None:
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        as_admin: bool = False,
    ) -> httpx.Response:
        """Send a request and return whatever is answered."""
        token = DEVELOPMENT_ADMIN_TOKEN if as_admin else DEVELOPMENT_SERVICE_TOKEN
        every = {"Authorization": f"Bearer {token}", **(headers or {})}
        return self._client.request(method, path, headers=every, params=params, json=json)

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        as_admin: bool = False,
    ) -> Json:
        """Send a request that must succeed, and return its answer."""
        answer = self.send(
            method, path, json=json, params=params, headers=headers, as_admin=as_admin
        )
        assert answer.is_success, (path, answer.status_code, answer.text)
        found: Json = answer.json()
        return found

    def load(self, users: Sequence[int]) -> None:
        """Send the catalogue and what these users did."""
        self.ask("POST", "/items", json=ITEMS)
        batch = [one for n in users for one in interactions(n)]
        for start in range(0, len(batch), 500):
            told = self.ask("POST", "/interactions", json=batch[start : start + 500])
            assert told["refused"] == 0

    def forget(self, name: str, *, key: str | None = None, scope: Json | None = None) -> Json:
        """Ask to forget, and return the receipt."""
        body = {"user": name, "scope": scope or {"kind": "all"}}
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.ask("POST", "/forget", json=body, headers=headers)

    def status(self, request_id: str) -> Json:
        """Return how a request stands."""
        return self.ask("GET", f"/forget/{request_id}")

    def completed(self, request_id: str, *, timeout_s: float = 120.0) -> Json:
        """Wait for the end of a request, and return its status."""

        def look() -> Json | None:
            found = self.status(request_id)
            assert found["status"] != "failed", found
            return found if found["status"] == "completed" else None

        return wait_for(f"request {request_id} completes", look, timeout_s=timeout_s)

    def recommend(self, name: str, *, n: int = 10) -> Json:
        """Ask for a recommendation, and return it without what no two answers share."""
        answer = self.ask("GET", f"/recommend/{name}", params={"n": n})
        del answer["timings_ms"], answer["cursor"], answer["recommendation_id"]
        return answer


@contextmanager
def calling(url: str, *, timeout_s: float = 60.0) -> Iterator[Api]:
    """Give an Api until the block ends."""
    api = Api(url, timeout_s=timeout_s)
    try:
        yield api
    finally:
        api.close()
