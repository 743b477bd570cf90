"""An export can be checked and taken in again, and what lists are made from is told to anybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from app.adapters.datasets.registry import open_dataset
from app.domain.errors import InvalidInputError
from app.domain.models import Kind
from app.ports.dataset import BadLine, DatasetKind
from app.services.ingestion.dataset_loader import LoadWatcher
from tests.api.conftest import SERVICE, Api
from tests.architecture import export_schema
from tests.world import World, catalogue, open_world

USER = "shop/42 née"


def told(api: Api) -> dict[str, Any]:
    events: list[dict[str, object]] = [
        {"event_id": "a", "item_id": "sea-01", "kind": "rating", "value": 4.5},
        {"event_id": "b", "item_id": "sea-02", "kind": "view"},
        {"event_id": "c", "kind": "note", "text": "No ghosts,\nplease."},
    ]
    sent = [
        {"user": USER, "occurred_at": f"2025-03-0{day}T12:00:00Z"} | event
        for day, event in enumerate(events, start=1)
    ]
    api.client.post("/interactions", json=sent, headers=SERVICE)
    answer = api.client.post("/users/export", json={"user": USER}, headers=SERVICE)
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def load(world: World, path: Path) -> list[BadLine]:
    bad: list[BadLine] = []
    dataset = open_dataset(DatasetKind.EXPORT, path, now=world.clock.now())
    watcher = LoadWatcher(moved=lambda *_: None, refused=bad.append, left_out=bad.append)
    world.container.load.load(dataset, name="export", watcher=watcher)
    return bad


def test_an_export_keeps_its_schema_and_comes_back_whole(api: Api, tmp_path: Path) -> None:
    export = told(api)
    file = tmp_path / "export.json"
    file.write_text(json.dumps(export), encoding="utf-8")

    jsonschema_rs.validate(json.loads(export_schema.PAGE.read_text("utf-8")), export)
    with open_world(tmp_path / "other") as world:
        world.container.catalogue.upsert(catalogue())
        assert load(world, file) == []
        assert load(world, file) == []
        found = world.container.rights.export(world.user(USER))

    before = export["interactions"]
    kept = [(one["kind"], one["item_id"], one["value"], one["text"]) for one in before]
    assert kept == [(one.kind, one.item_id, one.value, one.text) for one in found.history]
    assert [one["event_id"] for one in before] == [
        found.event_ids[one.record_id] for one in found.history
    ]
    assert {one.kind for one in found.history} == {Kind.RATING, Kind.VIEW, Kind.NOTE}


def test_what_of_an_export_cannot_be_read_is_named_and_the_rest_is_taken(
    api: Api, tmp_path: Path
) -> None:
    export = told(api)
    export["interactions"][0]["event_id"] = None
    file = tmp_path / "export.json"
    file.write_text(json.dumps(export), encoding="utf-8")

    with open_world(tmp_path / "other") as world:
        world.container.catalogue.upsert(catalogue())
        (bad,) = load(world, file)

    assert (bad.line, "event_id" in bad.message) == (3, True)
    file.write_text(json.dumps({"format": "other/v9"}), encoding="utf-8")
    with pytest.raises(InvalidInputError, match="is no lethe-export/v1"):
        open_dataset(DatasetKind.EXPORT, file, now=api.world.clock.now())


def test_anybody_may_know_what_lists_are_made_from(api: Api) -> None:
    answer = api.client.get("/about/recommendations").json()

    names = [one["name"] for one in answer["parameters"]]
    assert names[0] == "history"
    assert "language_model" not in names
    assert all(one["meaning"] in answer["text"] for one in answer["parameters"])
    assert {"objection", "not_personalised"} <= {one["name"] for one in answer["choices"]}
