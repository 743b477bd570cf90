"""The commands that ask a running service, on the real application."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from typer.testing import CliRunner

from app.adapters.datasets.options import NOTHING_TOLD
from app.adapters.datasets.registry import open_dataset
from app.bootstrap.access import open_access
from app.cli import app
from app.cli.demo import verified, walk
from app.cli.demo_told import Told
from app.cli.holding import put
from app.cli.loading import load_there
from app.cli.options import read_users
from app.cli.remote import Remote
from app.domain.erasure.request import Ground
from app.domain.errors import DependencyUnavailableError, InvalidInputError, NotFoundError
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


def test_a_legal_hold_is_put_on_people_of_a_list_and_lifted(api: Api) -> None:
    def status_of(user: str) -> str:
        with service(api) as shop:
            taken = shop.forget(user, {"kind": "all"})["request_id"]
            return str(shop.erasure(taken)["status"])

    with service(api, "an-admin-token") as officer:
        held = list(put(["reader-11", "reader-12"], Ground.LEGAL_CLAIMS, service=officer))
        assert (status_of("reader-11"), status_of("reader-13")) == ("on_hold", "completed")
        late = list(put(["reader-13", "reader-11"], Ground.LEGAL_CLAIMS, service=officer))
        lifted = list(put(["reader-12", "reader-11"], None, service=officer))

    assert held == [{"n_on_hold": 0}, {"n_on_hold": 0}]
    assert list(late[0]) == ["problem"]
    assert "reader" not in late[0]["problem"]
    assert late[1] == {"n_on_hold": 1}
    assert lifted == [{"n_on_hold": 0}, {"n_on_hold": 1}]
    assert status_of("reader-12") == "completed"
    with service(api) as shop, pytest.raises(InvalidInputError, match="--token"):
        list(put(["reader-14"], Ground.LEGAL_CLAIMS, service=shop))


@pytest.mark.parametrize("given", [["ann"], ["ann", "--lift", "--ground", "legal_claims"]])
def test_a_hold_has_a_ground_or_ends(given: list[str]) -> None:
    result = CliRunner().invoke(app, ["hold", *given])

    assert result.exit_code == 2
    assert "--ground" in result.output


def told(capsys: pytest.CaptureFixture[str], *arguments: str, folder: Path) -> Any:  # noqa: ANN401 - whatever the command prints
    """Run a command of ``lethe access`` and return the JSON that it printed."""
    app(["access", *arguments, "--json", "--data-dir", str(folder)], standalone_mode=False)
    return json.loads(capsys.readouterr().out)


def test_keys_are_made_rotated_listed_and_ended_by_commands_and_open_accordingly(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = partial(told, capsys, folder=tmp_path)
    first = run("create", "shop", "--scope", "read", "--scope", "ingest")["token"]
    staff = run("create", "erika", "--role", "auditor")["token"]
    second = run("rotate", "shop", "--keep-old-h", "1")["token"]
    listed = run("list")

    def holders(*tokens: str) -> list[tuple[str, set[str]] | None]:
        with open_access(tmp_path) as keys:
            found = [keys.holder_of(token) for token in tokens]
        return [(one.name, {*one.scopes}) if one else None for one in found]

    shop = ("shop", {"read", "ingest"})
    assert holders(first, second, staff) == [shop, shop, ("erika", {"audit"})]
    assert [(one["name"], one["scopes"]) for one in listed].count(("shop", ["ingest", "read"])) == 2
    assert [one["ends_at"] is None for one in listed].count(False) == 1
    assert not {first, second, staff} & set(json.dumps(listed).split('"'))

    assert run("revoke", "shop") == {"name": "shop", "n_ended": 2}
    assert holders(first, second, staff)[:2] == [None, None]
    with open_access(tmp_path) as keys, pytest.raises(NotFoundError):
        keys.rotate("nobody", keep_old=timedelta(0))


@pytest.mark.parametrize(
    "given", [["create", "shop"], ["create", "x", "--scope", "read", "--role", "auditor"]]
)
def test_a_key_is_a_systems_or_a_persons(given: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["access", *given, "--data-dir", str(tmp_path / "none")])

    assert result.exit_code == 2
    assert "--scope" in result.output
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("given", [[], ["ann", "--file", "x"], ["--file", "x"]])
def test_forget_takes_one_way_of_naming_people(given: list[str]) -> None:
    result = CliRunner().invoke(app, ["forget", *given])

    assert result.exit_code
    assert "give one id" in f"{result.output}{result.exception}"
