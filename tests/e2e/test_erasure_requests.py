"""Posting erasure requests: at once, again, with another body; and replaying all that was sent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from app.adapters.db import schema
from tests.e2e.calls import Api, Json, calling, interactions, user
from tests.e2e.processes import QUICK, serving
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.timeout(600)
N_USERS: Final = 60
N_POSTS: Final = 50
_USERS = iter(range(N_USERS))


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A serving process with its data in SQLite, and one with them in PostgreSQL."""
    folder = tmp_path_factory.mktemp("requests")
    if request.param == "sqlite":
        yield from _api(folder, {})
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        schema.upgrade(url)
        yield from _api(folder, {"LETHE_DATABASE__URL": url})


def _api(folder: Path, settings: dict[str, str]) -> Iterator[Api]:
    environment = QUICK | {"LETHE_DATA_DIR": str(folder)} | settings
    with serving(environment, folder=folder) as running, calling(running.url) as api:
        api.load(range(N_USERS))
        yield api


@pytest.fixture
def name() -> str:
    """A user whom no other test forgets."""
    return user(next(_USERS) % N_USERS)


def _at_once(api: Api, posts: list[tuple[str, str | None, Json]]) -> list[tuple[int, Json]]:
    """Send (user, key, more of the body) all at once; return statuses and answers."""

    def post(one: tuple[str, str | None, Json]) -> tuple[int, Json]:
        who, key, more = one
        body = {"user": who, "scope": {"kind": "all"}} | more
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = api.send("POST", "/forget", json=body, headers=headers)
        return answer.status_code, answer.json()

    with ThreadPoolExecutor(len(posts)) as pool:
        return list(pool.map(post, posts))


def _receipts(answers: list[tuple[int, Json]]) -> list[Json]:
    """Return the distinct answers, but for how far the request is.

    The salt is destroyed once the data are erased, which may be before the last answer is made:
    then it is missing, and nothing else may be.
    """
    distinct: list[tuple[Json, Json]] = []
    salts: dict[str, set[str]] = {}
    for status, answer in answers:
        assert status == 202, answer
        told = {key: value for key, value in answer.items() if key != "status"}
        signed = dict(told.pop("receipt"))
        if (salt := signed.pop("salt", None)) is not None:
            salts.setdefault(told["request_id"], set()).add(salt)
        if (told, signed) not in distinct:
            distinct.append((told, signed))
    assert {len(found) for found in salts.values()} == {1}
    return [told | {"receipt": signed} for told, signed in distinct]


def test_posts_with_one_key_at_once_give_one_request_and_one_receipt(api: Api, name: str) -> None:
    key = f"key-{uuid4()}"

    receipts = _receipts(_at_once(api, [(name, key, {})] * N_POSTS))

    assert len(receipts) == 1
    assert _leaves(api, receipts[0]["request_id"]).count("forget.received") == 1


def test_posts_without_a_key_at_once_join_the_open_request(api: Api, name: str) -> None:
    receipts = _receipts(_at_once(api, [(name, None, {})] * N_POSTS))
    request_ids = [receipt["request_id"] for receipt in receipts]

    # Whoever comes after its completion is a new request, for nothing is known of them any more.
    for request_id in request_ids:
        assert _leaves(api, request_id).count("forget.received") == 1
        api.completed(request_id)


def _leaves(api: Api, request_id: str) -> list[str]:
    found = api.ask("GET", "/admin/audit", as_admin=True, params={"request_id": request_id})
    return [leaf["body"].split('"kind":"')[1].split('"')[0] for leaf in found["leaves"]]


def test_posts_with_one_subject_request_id_at_once_give_one_request(api: Api, name: str) -> None:
    more = {"subject_request_id": str(uuid4())}

    assert len(_receipts(_at_once(api, [(name, None, more)] * N_POSTS))) == 1


def test_of_two_bodies_under_one_key_at_once_one_wins_and_the_other_is_409(
    api: Api, name: str
) -> None:
    key = f"key-{uuid4()}"
    # Held, for once somebody is erased nobody can tell with which body the key was used.
    objection = (name, key, {"reason": "objection", "hold": True})
    unlawful = (name, key, {"reason": "unlawful", "hold": True})

    answers = _at_once(api, [objection, unlawful] * 10)

    accepted = [answer for answer in answers if answer[0] == 202]
    refused = [answer for status, answer in answers if status != 202]
    assert len(_receipts(accepted)) == 1
    assert len(accepted) == len(refused) == 10
    assert {answer["code"] for answer in refused} == {"idempotency_conflict"}


def test_a_key_gives_the_same_receipt_after_the_completion(api: Api, name: str) -> None:
    key = f"key-{uuid4()}"
    receipt = api.forget(name, key=key)
    api.completed(receipt["request_id"])

    again = api.forget(name, key=key)

    same = ("request_id", "received_at", "due_at", "capability")
    assert {field: again[field] for field in same} == {field: receipt[field] for field in same}
    assert again["status"] == "completed"


def test_a_strangers_use_of_a_subject_request_id_does_not_block_its_owner(
    api: Api, name: str
) -> None:
    """The id is the controller's and may leak; whoever sends it first must gain nothing."""
    more = {"subject_request_id": str(uuid4())}
    stranger = (f"stranger-{uuid4()}", None, more)
    owner = (name, None, more)

    (stranger_status, _), (owner_status, _) = (*_at_once(api, [stranger]), *_at_once(api, [owner]))

    assert (stranger_status, owner_status) == (202, 202)
    assert api.recommend(name)["personalised"] is False


def test_a_replay_of_everything_brings_nothing_back(api: Api) -> None:
    erased = [next(_USERS) % N_USERS for _ in range(12)]
    partly = next(_USERS) % N_USERS
    scope = {"kind": "items", "item_ids": [interactions(partly)[0]["item_id"]]}
    requests = [api.forget(user(n))["request_id"] for n in erased]
    requests.append(api.forget(user(partly), scope=scope)["request_id"])

    during = _replay(api, [*erased, partly])
    for request_id in requests:
        api.completed(request_id)
    after = _replay(api, [*erased, partly])

    n_gone = sum(len(interactions(n)) for n in erased) + 1
    for replayed in (during, after):
        assert replayed["accepted"] == 0
        assert replayed["refused"] == n_gone
        assert replayed["duplicate"] == len(interactions(partly)) - 1
    assert not any(api.recommend(user(n))["personalised"] for n in erased)
    assert api.recommend(user(partly))["personalised"]


def _replay(api: Api, users: list[int]) -> Json:
    return api.ask("POST", "/interactions", json=[one for n in users for one in interactions(n)])


def test_whoever_comes_back_starts_anew(api: Api, name: str) -> None:
    api.completed(api.forget(name)["request_id"])
    rating = {
        "event_id": "later",
        "user": name,
        "item_id": "i03",
        "kind": "rating",
        "value": 5,
        "occurred_at": datetime.now(UTC).isoformat(),
    }

    consent = {"at": rating["occurred_at"], "source": "account"}

    refused = api.ask("POST", "/interactions", json=[rating])
    accepted = api.ask("POST", "/interactions", json=[rating | {"renewed_consent": consent}])

    assert (refused["refused"], accepted["accepted"]) == (1, 1)
    seen = api.recommend(name)
    assert seen["personalised"]
    assert {reason["item_id"] for item in seen["items"] for reason in item["because"]} == {"i03"}
