"""Clients that others' generators make from the OpenAPI document, at work on a running service."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from app.settings_groups import DEVELOPMENT_SERVICE_TOKEN
from tests.e2e.processes import QUICK, Running, serving, wait_for
from tests.servers.generators import generator

AT: Final = datetime(2026, 1, 2, tzinfo=UTC)
Made = Any
"""What a generator made; no type checker sees it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with serving(QUICK | {"LETHE_DATA_DIR": str(folder / "data")}, folder=folder) as running:
        document = httpx.get(f"{running.url}/openapi.json").text
        (folder / "openapi.json").write_text(document)
        yield running


@contextmanager
def generated(package: str, *command: str, folder: Path) -> Iterator[None]:
    """Make ``package`` in ``folder`` by a generator, importable until the block ends."""
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    try:
        importlib.import_module(package)
        yield
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def by_openapi_python_client(server: Running, folder: Path) -> Iterator[None]:
    config = folder / "config.yaml"
    config.write_text("post_hooks: []\n")
    program = generator("openapi-python-client")
    options = "generate --path openapi.json --config config.yaml --meta none"
    output = ("--output-path", "generated_client")
    with generated("generated_client", program, *options.split(), *output, folder=folder):
        yield


@pytest.fixture(scope="module")
def by_openapi_generator(server: Running, folder: Path) -> Iterator[None]:
    program = generator("openapi-generator-cli", needs="java")
    options = "generate -g python -i openapi.json -o . --package-name lethe_java"
    parts = "models,apis,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false"
    arguments = (*options.split(), "--global-property", f"{parts},modelTests=false")
    with generated("lethe_java", program, *arguments, folder=folder):
        yield


def test_openapi_python_client_is_understood_when_it_asks_and_when_it_errs(
    server: Running, by_openapi_python_client: None
) -> None:
    client: Made = importlib.import_module("generated_client")
    models: Made = importlib.import_module("generated_client.models")

    def call(path: str, *, token: str = DEVELOPMENT_SERVICE_TOKEN, **arguments: object) -> Made:
        with client.AuthenticatedClient(base_url=server.url, token=token) as opened:
            operation: Made = importlib.import_module(f"generated_client.api.{path}")
            return operation.sync(client=opened, **arguments)

    def acted(item_id: str) -> Made:
        kind = models.Kind.LIKE
        one = {"event_id": "1", "user": "ann", "item_id": item_id, "occurred_at": AT}
        return models.InteractionIn(kind=kind, **one)

    items = [models.ItemIn(item_id=one, title=f"Title {one}") for one in "ab"]
    assert call("ingest.put_items", body=items).received == 2
    assert call("ingest.record_interactions", body=[acted("a")]).accepted == 1
    assert call("recommend.recommend", user="ann").personalised is True
    asked = models.ForgetIn(user="ann", scope=models.AllScopeIn(kind="all"))
    accepted = call("forget.forget", body=asked)
    assert accepted.receipt.statement.request_id == accepted.request_id

    def certificate() -> Made:
        found = call("forget.get_forget_request", request_id=accepted.request_id)
        return found.status is models.RequestState.COMPLETED and found.certificate

    signed = wait_for("the erasure completes", certificate)
    assert signed.statement.stores[0].after == 0
    unknown = call("ingest.record_interactions", body=[acted("nothing")])
    assert isinstance(unknown, models.Problem)
    assert (unknown.status, unknown.errors[0].field) == (422, "interactions.0.item_id")
    stranger = call("recommend.recommend", user="ann", token="none")
    assert isinstance(stranger, models.Problem)
    assert (stranger.status, stranger.code) == (401, "unauthenticated")


def test_openapi_generator_is_understood_when_it_asks_and_when_it_errs(
    server: Running, by_openapi_generator: None
) -> None:
    lethe: Made = importlib.import_module("lethe_java")

    def calling(api: Made, *, token: str = DEVELOPMENT_SERVICE_TOKEN) -> Made:
        configuration = lethe.Configuration(host=server.url, access_token=token)
        return api(lethe.ApiClient(configuration))

    def acted(item_id: str) -> Made:
        one = {"event_id": "1", "user": "bob", "item_id": item_id, "occurred_at": AT}
        return lethe.InteractionIn(kind="like", **one)

    ingest = calling(lethe.IngestApi)
    items = [lethe.ItemIn(item_id=one, title=f"Title {one}") for one in "cd"]
    assert ingest.put_items(items).received == 2
    assert ingest.record_interactions([acted("c")]).accepted == 1
    assert calling(lethe.RecommendApi).recommend("bob").personalised is True
    scope = lethe.Scope(lethe.AllScopeIn(kind="all"))
    accepted = calling(lethe.ForgetApi).forget(lethe.ForgetIn(user="bob", scope=scope))
    assert accepted.receipt.statement.request_id == accepted.request_id

    def certificate() -> Made:
        found = calling(lethe.ForgetApi).get_forget_request(accepted.request_id)
        return found.status == "completed" and found.certificate

    signed = wait_for("the erasure completes", certificate)
    assert signed.statement.stores[0].after == 0
    with pytest.raises(lethe.exceptions.UnprocessableEntityException) as unknown:
        ingest.record_interactions([acted("nothing")])
    assert isinstance(unknown.value.data, lethe.Problem)
    assert unknown.value.data.errors[0].var_field == "interactions.0.item_id"
    with pytest.raises(lethe.exceptions.UnauthorizedException) as stranger:
        calling(lethe.RecommendApi, token="none").recommend("bob")
    assert isinstance(stranger.value.data, lethe.Problem)
    assert stranger.value.data.code == "unauthenticated"
