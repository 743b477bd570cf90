"""Answers to lists over HTTP: an id that is given back, counted, and forgotten with its user."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.adapters.datasets.registry import open_dataset
from app.bootstrap.metrics import watch_answers
from app.observability import Metrics
from app.services.ingestion.dataset_loader import LoadWatcher
from tests.api.conftest import ADMIN, SERVICE, Api

SEA = [f"sea-{number:02d}" for number in range(6)]


@pytest.fixture
def reader(api: Api, request: pytest.FixtureRequest) -> Iterator[str]:
    """A reader of sea stories, another one for each test, who counts no more after it."""
    name = f"reader of {request.node.name}"
    api.world.read(name, SEA)
    yield name
    leave(api, name)


def leave(api: Api, user: str) -> None:
    api.client.put(f"/users/{user}/objection", headers=SERVICE)


def forget(api: Api, user: str, scope: dict[str, object] | None = None) -> None:
    body = {"user": user, "scope": scope or {"kind": "all"}}
    taken = api.client.post("/forget", json=body, headers=SERVICE)
    assert taken.status_code == 202
    with api.world.adapters.uows.read() as uow:
        waiting = sorted(
            uow.requests.open_of(api.world.user(user)), key=lambda one: one.received_at
        )
    assert all(api.world.erase(one.request_id) for one in waiting)


def asked(api: Api, **body: object) -> dict[str, Any]:
    answer: dict[str, Any] = api.client.post("/recommend", json=body, headers=SERVICE).json()
    return answer


def click(
    api: Api, user: str, listed: dict[str, Any], position: int = 1, **more: object
) -> dict[str, Any]:
    consent = {"at": datetime.now(UTC).isoformat(), "source": "account"}
    body = [event(user, listed, position) | {"renewed_consent": consent} | more]
    answer = api.client.post("/interactions", json=body, headers=SERVICE)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def event(user: str, listed: dict[str, Any], position: int = 1) -> dict[str, object]:
    return {
        "event_id": f"click on {position}",
        "user": user,
        "item_id": listed["items"][position - 1]["item_id"],
        "kind": "view",
        "occurred_at": datetime.now(UTC).isoformat(),
        "recommendation_id": listed["recommendation_id"],
        "position": position,
    }


def counts(api: Api) -> list[dict[str, Any]]:
    answer: httpx2.Response = api.client.get("/admin/answers", headers=ADMIN)
    told: list[dict[str, Any]] = answer.json()["answers"]
    return told


def test_answers_are_counted_by_what_made_the_list(api: Api, reader: str) -> None:
    mine = asked(api, user=reader)
    latest = api.client.get("/latest", headers=SERVICE).json()
    assert counts(api) == []

    click(api, reader, mine, 1)
    click(api, reader, mine, 3, kind="purchase")
    click(api, reader, latest, 2)

    assert counts(api) == [
        {
            "scenario": None,
            "variant": "latest",
            "lists": 1,
            "by_kind": {"view": 1},
            "by_position": {"2": 1},
        },
        {
            "scenario": None,
            "variant": "retrieval",
            "lists": 1,
            "by_kind": {"purchase": 1, "view": 1},
            "by_position": {"1": 1, "3": 1},
        },
    ]
    metrics = Metrics()
    watch_answers(metrics, api.world.adapters.uows)
    assert 'lethe_lists_answered{list="-/retrieval"} 1.0' in metrics.render().decode()
    export = api.client.get(f"/users/{reader}/export", headers=SERVICE).json()
    assert {(one["answered"] or {}).get("variant") for one in export["interactions"]} == {
        None,
        "latest",
        "retrieval",
    }


@pytest.mark.parametrize("scope", ["all", "items", "events", "period", "topic"])
def test_counts_are_those_without_the_data_when_they_are_forgotten(
    api: Api, reader: str, scope: str
) -> None:
    other = f"another {reader}"
    api.world.read(other, SEA)
    click(api, other, asked(api, user=other))
    before = counts(api)
    listed = asked(api, user=reader)
    click(api, reader, listed, 2)
    assert counts(api) != before
    now = datetime.now(UTC)
    hour = {"from": (now - timedelta(hours=1)).isoformat(), "to": now.isoformat()}
    scopes: dict[str, dict[str, object]] = {
        "all": {},
        "items": {"item_ids": [listed["items"][1]["item_id"]]},
        "events": {"event_ids": ["click on 2"]},
        "period": {**hour},
        "topic": {"text": "sea"},
    }

    forget(api, reader, {"kind": scope} | scopes[scope])

    assert counts(api) == before
    leave(api, other)


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_answers_are_counted_when_they_come_from_a_file(
    api: Api, reader: str, tmp_path: Path, kind: str
) -> None:
    listed, foreign = asked(api, user=reader), asked(api, user="reader-1")
    rows = [event(reader, listed, 2), event(reader, listed, 3) | {"position": None}]
    rows[1]["recommendation_id"] = None
    rows.append(event(reader, listed) | {"recommendation_id": foreign["recommendation_id"]})
    file = tmp_path / f"interactions.{kind}"
    with file.open("w", newline="") as out:
        if kind == "csv":
            table = csv.DictWriter(out, rows[0])
            table.writeheader()
            table.writerows(rows)
        else:
            out.writelines(json.dumps(row) + "\n" for row in rows)
    refused: list[int] = []

    result = api.world.container.load.load(
        open_dataset(kind, file, now=datetime.now(UTC)),
        name=f"{kind}:{file}",
        watcher=LoadWatcher(
            moved=lambda _part, _position: None,
            refused=lambda line: refused.append(line.line),
            left_out=lambda _line: None,
        ),
    )

    assert (result.accepted, result.bad) == (2, 1)
    assert refused == [4 if kind == "csv" else 3]
    assert [(one["lists"], one["by_position"]) for one in counts(api)] == [(1, {"2": 1})]


def test_an_answer_counts_while_its_user_has_no_right_in_force(api: Api, reader: str) -> None:
    click(api, reader, asked(api, user=reader))
    told = counts(api)

    api.client.put(f"/users/{reader}/restriction", headers=SERVICE)
    assert counts(api) == []
    api.client.delete(f"/users/{reader}/restriction", headers=SERVICE)

    assert counts(api) == told != []


def test_an_event_sent_again_without_its_list_keeps_it_and_with_one_is_corrected(
    api: Api, reader: str
) -> None:
    listed = asked(api, user=reader)
    first = event(reader, listed)
    bare = {key: first[key] for key in first.keys() - {"recommendation_id", "position"}}

    def send(one: dict[str, object]) -> tuple[int, int, int]:
        told = api.client.post("/interactions", json=[one], headers=SERVICE).json()
        return told["accepted"], told["duplicate"], told["updated"]

    assert send(bare) == (1, 0, 0)
    assert counts(api) == []
    assert send(first) == (0, 0, 1)
    assert send(first) == send(bare) == (0, 1, 0)
    assert [one["by_position"] for one in counts(api)] == [{"1": 1}]
    again = event(reader, asked(api, user=reader), 2) | {"event_id": first["event_id"]}
    assert send(again) == (0, 0, 1)
    assert [one["by_position"] for one in counts(api)] == [{"2": 1}]


def test_a_list_that_rests_on_what_was_forgotten_is_answered_by_nobody(
    api: Api, reader: str
) -> None:
    listed = asked(api, user=reader)
    forget(api, reader, {"kind": "items", "item_ids": [SEA[0]]})

    assert click(api, reader, listed)["accepted"] == 1
    assert counts(api) == []

    fresh = asked(api, user=reader)
    click(api, reader, fresh, 2)
    assert [one["lists"] for one in counts(api)] == [1]


@pytest.mark.parametrize(("days", "is_counted"), [(-1, False), (0, True), (29, True), (31, False)])
def test_a_list_is_answered_by_what_happens_in_the_thirty_days_after_it(
    api: Api, reader: str, days: int, *, is_counted: bool
) -> None:
    api.world.clock.ahead = timedelta(days=-max(days, 0))
    listed = asked(api, user=reader)
    api.world.clock.ahead = timedelta(0)
    then = datetime.now(UTC) + timedelta(days=min(days, 0))

    assert click(api, reader, listed, 2, occurred_at=then.isoformat())["accepted"] == 1

    assert [one["lists"] for one in counts(api)] == [1] * is_counted


def test_a_list_of_nobody_is_answered_by_anybody(api: Api, reader: str) -> None:
    listed = asked(api, items=["sea-01"])

    click(api, reader, listed)

    assert [one["lists"] for one in counts(api)] == [1]


def test_ids_that_are_none_are_refused_with_their_place(api: Api, reader: str) -> None:
    listed, foreign = asked(api, user=reader), asked(api, user="reader-1")
    good = event(reader, listed)
    raw = bytearray(base64.urlsafe_b64decode(listed["recommendation_id"]))
    raw[-1] ^= 1
    cursor = asked(api, user=reader, n=3)["cursor"]
    bad = {
        "recommendation_id": [
            "x",
            "é",
            base64.urlsafe_b64encode(bytes(raw)).decode(),
            cursor,
            foreign["recommendation_id"],
        ],
        "position": [11, 0, None],
    }

    for field, values in bad.items():
        for value in values:
            answer = api.client.post("/interactions", json=[good | {field: value}], headers=SERVICE)
            assert answer.status_code == 422, value
            assert answer.json()["errors"][0]["field"] == f"interactions.0.{field}"
    batch = [good | {"recommendation_id": "x"}, good]
    answer = api.client.post("/interactions?on_error=skip", json=batch, headers=SERVICE)
    skipped = answer.json()
    assert (skipped["accepted"], skipped["errors"]) == (1, [{"index": 0, "code": "invalid_input"}])


def test_counts_are_for_administrators(api: Api) -> None:
    assert api.client.get("/admin/answers", headers=SERVICE).status_code == 403


def test_an_id_names_nobody_and_no_two_lists_alike(api: Api, reader: str) -> None:
    ids = {asked(api, user=reader)["recommendation_id"] for _ in range(3)}

    assert len(ids) == 3
    pseudonym = api.world.user(reader)
    assert all(pseudonym[:16].encode() not in base64.urlsafe_b64decode(one) for one in ids)
