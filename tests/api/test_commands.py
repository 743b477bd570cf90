"""The commands that ask a running service, on the real application."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import pytest
from typer.testing import CliRunner

from app.adapters.datasets.options import NOTHING_TOLD
from app.adapters.datasets.registry import open_dataset
from app.cli import app
from app.cli.demo import verified, walk
from app.cli.demo_told import Told
from app.cli.loading import load_there
from app.cli.options import read_users
from app.cli.remote import Remote
from app.domain.errors import DependencyUnavailableError, InvalidInputError
from app.ports.dataset import DatasetKind
from app.services.ingestion.dataset_loader import LoadWatcher
from tests.api.conftest import Api
from tests.api.in_process import URL, InProcess

TOKEN: Final = "a-service-token"
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


def service(api: Api, token: str = TOKEN) -> Remote:
    return Remote(URL, token=token, transport=InProcess(api.client, api.world))


def test_demo_goes_from_a_list_with_reasons_to_a_verified_certificate(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    key = api.world.container.checkpoints.public_key()
    with service(api) as remote:
        steps = dict(walk(remote, user="reader-10", topic="whale voyage 5"))
    last = verified(steps["certificate"], key=key)
    unknown = verified(steps["certificate"], key=None)

    assert list(steps) == ["recommend", "dislike", "topic", "forget", "certificate"]
    assert all(item["because"] for item in steps["recommend"]["items"])
    assert steps["dislike"]["disliked"] not in [one["title"] for one in steps["dislike"]["items"]]
    assert [steps[name]["personalised"] for name in ("recommend", "forget")] == [True, False]
    assert steps["certificate"]["status"] == "completed"
    assert (last["is_verified"], unknown["is_verified"], unknown["is_whole"]) == (True, False, True)
    for name, found in {**steps, "verify": last}.items():
        Told(as_json=False).step(name, found)
    assert "VERIFIED" in capsys.readouterr().out


def test_demo_tells_a_line_of_json_a_step_where_it_is_asked_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Told(as_json=True).step("recommend", {"items": [], "user": "ann"})

    assert json.loads(capsys.readouterr().out) == {"step": "recommend", "items": [], "user": "ann"}


def test_a_token_that_is_not_taken_and_a_service_that_is_not_there_are_named(api: Api) -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no", request=request)

    with (
        service(api, token="nobody") as remote,
        pytest.raises(InvalidInputError, match="--token"),
    ):
        remote.forget("ann", {"kind": "all"})
    with (
        Remote(URL, token=TOKEN, transport=httpx.MockTransport(gone)) as remote,
        pytest.raises(DependencyUnavailableError, match="lethe serve --demo"),
    ):
        remote.erasure("1")


def test_a_data_set_is_sent_to_a_running_service_and_sent_again_changes_nothing(
    api: Api, tmp_path: Path
) -> None:
    (tmp_path / "items.csv").write_text("item_id,title,price\nkettle,Kettle,29\nteapot,Teapot,x\n")
    (tmp_path / "interactions.csv").write_text(
        "user,item_id,value,time\n"
        "dora,kettle,5,2025-11-01T10:00:00Z\n"
        "dora,spoon,5,2025-11-01T10:00:00Z\n"
        "dora,kettle,oops,2025-11-03T09:00:00Z\n"
    )
    dataset = open_dataset(DatasetKind.CSV, tmp_path, now=NOW, options=NOTHING_TOLD)
    bad: list[str] = []
    watcher = LoadWatcher(
        moved=lambda *_: None,
        refused=lambda line: bad.append(f"{line.file}:{line.line}"),
        left_out=lambda _: None,
    )

    with service(api) as remote:
        first = load_there(dataset, service=remote, watcher=watcher)
        again = load_there(dataset, service=remote, watcher=watcher)
        found = remote.post("/recommend", {"user": "dora", "n": 1})
        key = remote.get("/.well-known/lethe.json")["key"]

    assert (first.items, first.accepted, first.bad) == (2, 1, 2)
    assert (again.items, again.accepted, again.duplicate) == (2, 0, 1)
    assert sorted(set(bad)) == ["interactions.csv:3", "interactions.csv:4"]
    assert found["personalised"]
    assert key == api.world.container.checkpoints.public_key()


def test_user_ids_come_from_an_argument_a_file_or_standard_input(
    tmp_path: Path,
) -> None:
    file = tmp_path / "leavers.txt"
    file.write_text("ann\n\nbob \n", encoding="utf-8")

    assert read_users("ann", None) == ["ann"]
    assert read_users(None, file) == ["ann", "bob "]
    assert read_users("-", None, piped=io.StringIO("cem\n")) == ["cem"]
    for user, users in ((None, None), ("ann", file)):
        with pytest.raises(InvalidInputError, match="give one id"):
            read_users(user, users)


@pytest.mark.parametrize("given", [[], ["ann", "--file", "x"], ["--file", "x"]])
def test_forget_takes_one_way_of_naming_people(given: list[str]) -> None:
    result = CliRunner().invoke(app, ["forget", *given])

    assert result.exit_code
    assert "give one id" in f"{result.output}{result.exception}"
