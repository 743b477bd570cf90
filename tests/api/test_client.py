"""The client that we give away, at work on the real application."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from lethe_client import AsyncLethe, Lethe, Patience, RefusedError, UnavailableError, verify
from lethe_client.calls import BATCH
from lethe_client.models import Interaction
from tests.api.conftest import Api
from tests.api.in_process import URL, InProcess, connected
from tests.loops import run

TOKEN: Final = "a-service-token"
QUICK: Final = Patience(retries=2, first_s=0.0)
SOURCE: Final = Path(__file__).parents[2] / "client" / "src"


def busy(_: httpx.Request) -> httpx.Response:
    return httpx.Response(503, headers={"Retry-After": "0"})


def gone(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no", request=request)


@pytest.fixture
def transport(api: Api) -> InProcess:
    return InProcess(api.client, api.world)


@pytest.fixture
def lethe(transport: InProcess) -> Iterator[Lethe]:
    with connected(transport) as http:
        yield Lethe(URL, TOKEN, patience=QUICK, http=http)


def read(user: str, item: str, *, number: int = 0) -> Interaction:
    return {
        "event_id": f"{user}-{item}-{number}",
        "user": user,
        "item_id": item,
        "kind": "rating",
        "value": 5.0,
        "occurred_at": "2025-06-01T12:00:00+00:00",
    }


def test_a_life_from_the_first_event_to_a_certificate_that_is_checked_offline(
    api: Api, lethe: Lethe
) -> None:
    lethe.add_interactions([read("client-ann", f"sea-{number:02d}") for number in range(4)])
    listed = lethe.recommend("client-ann", n=3)
    assert listed["personalised"]
    assert lethe.preview("client-ann")["n_memories"] == 4

    accepted = lethe.forget("client-ann")
    done = lethe.wait(accepted["request_id"], every_s=0.0)

    key, receipt = api.world.container.checkpoints.public_key(), accepted["receipt"]
    assert done["status"] == "completed"
    assert done["certificate"] is not None
    assert not lethe.recommend("client-ann", n=3)["personalised"]
    for document in (receipt, done["certificate"]):
        checked = verify(document, keys=[key], user="client-ann", salt=receipt["salt"])
        assert checked.is_verified, checked.lines
        other = verify(document, keys=[key], user="client-bob", salt=receipt["salt"])
        assert not other.is_verified


def test_a_certificate_that_was_changed_or_is_signed_by_another_is_not_verified(
    api: Api, lethe: Lethe
) -> None:
    lethe.add_interactions([read("client-eve", "sea-01")])
    receipt = lethe.forget("client-eve")["receipt"]
    key = api.world.container.checkpoints.public_key()
    changed = receipt | {"statement": receipt["statement"] | {"due_at": "2099-01-01T00:00:00Z"}}

    assert not verify(changed, keys=[key]).is_verified
    with pytest.raises(ValueError, match="without a key"):
        verify(receipt, keys=[])
    with pytest.raises(ValueError, match="not a key"):
        verify(receipt, keys=["lethe+00000000+A"])


def taken(*, accepted: int, bad: int | None = None) -> Callable[[httpx.Request], httpx.Response]:
    errors = [] if bad is None else [{"index": bad, "code": "invalid"}]
    body = {"accepted": accepted, "duplicate": 0, "updated": 0, "refused": 0, "errors": errors}
    return lambda _: httpx.Response(200, json=body)


def test_a_long_load_goes_in_batches_and_is_added_up(lethe: Lethe, transport: InProcess) -> None:
    events = (read("client-many", "sea-02", number=number) for number in range(BATCH + 2))
    transport.instead = [taken(accepted=BATCH), taken(accepted=1, bad=1)]

    total = lethe.add_interactions(events, skip_bad=True)

    assert [request.content.count(b"\n") for request in transport.seen] == [BATCH, 2]
    assert total["accepted"] == BATCH + 1
    assert total["errors"] == [{"index": BATCH + 1, "code": "invalid"}]


def test_many_lists_come_in_the_order_they_were_asked_for(lethe: Lethe) -> None:
    lists = lethe.recommend_many([{"user": "reader-1", "n": 2}, {"n": 1}])

    assert [len(one["items"]) for one in lists] == [2, 1]


def test_the_service_is_asked_again_when_it_is_not_ready_or_not_there(
    lethe: Lethe, transport: InProcess
) -> None:
    transport.instead = [busy, gone]

    assert lethe.recommend("reader-1", n=1)["items"]
    assert len(transport.seen) == 3


def test_a_repeated_forget_is_the_same_request(lethe: Lethe, transport: InProcess) -> None:
    lethe.add_interactions([read("client-twice", "sea-03")])
    transport.seen.clear()
    transport.instead = [busy]

    lethe.forget("client-twice")

    first, second = (request.headers["Idempotency-Key"] for request in transport.seen)
    assert first == second


def test_patience_ends_and_errors_name_no_user(lethe: Lethe, transport: InProcess) -> None:
    transport.instead = [gone, gone, gone]
    with pytest.raises(UnavailableError) as unavailable:
        lethe.export("client-secret")
    with pytest.raises(RefusedError) as refused:
        lethe.recommend("client-secret", n=0)

    assert "client-secret" not in f"{unavailable.value!r} {refused.value!r}"
    assert unavailable.value.__cause__ is None
    assert (refused.value.status, list(refused.value.fields)) == (422, ["n"])


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ("7", 7.0, 7.0),
        ("900", 30.0, 30.0),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 30.0, 30.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0, 0.0),
        ("soon", 0.4, 0.8),
    ],
)
def test_nobody_comes_back_before_the_service_said(told: str, least: float, most: float) -> None:
    answer = httpx.Response(503, headers={"Retry-After": told})

    wait_s = Patience(first_s=0.2).wait_s(2, answer)

    assert wait_s is not None
    assert least <= wait_s <= most


def test_what_was_refused_for_good_is_not_tried_again() -> None:
    assert Patience().wait_s(0, httpx.Response(422)) is None
    assert Patience(retries=3).wait_s(3, None) is None


def test_the_awaited_client_does_the_same(api: Api) -> None:
    async def life() -> tuple[bool, int, str]:
        transport = httpx.ASGITransport(app=api.client.app)
        async with httpx.AsyncClient(base_url=URL, transport=transport) as http:
            lethe = AsyncLethe(URL, TOKEN, http=http)
            await lethe.add_interactions([read("client-async", "stars-01")])
            listed = await lethe.recommend("client-async", n=2)
            many = [one async for one in lethe.recommend_many([{"n": 1}, {"n": 1}])]
            accepted = await lethe.forget("client-async")
            return (
                listed["personalised"],
                len(many),
                (await lethe.erasure(accepted["request_id"]))["status"],
            )

    assert run(life()) == (True, 2, "suppressed")


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert methods(Lethe) == methods(AsyncLethe)


def test_nothing_of_the_service_is_needed(tmp_path: Path) -> None:
    code = "import sys, lethe_client; print(sorted({name.split('.')[0] for name in sys.modules}))"
    environment = {"PYTHONPATH": str(SOURCE)}

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=True
    )

    imported = done.stdout.decode()
    assert "lethe_client" in imported
    for heavy in ("app", "fastapi", "numpy", "chromadb", "sqlalchemy", "pydantic"):
        assert f"'{heavy}'" not in imported
