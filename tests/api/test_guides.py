"""The guides' code, taken out of their pages and run as it stands on the real service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from app.adapters.datasets.options import NOTHING_TOLD
from app.adapters.datasets.registry import open_dataset
from app.cli import app as commands
from app.cli.forget_file import forget_file
from app.cli.remote import Remote
from app.ports.dataset import DatasetKind
from app.services.ingestion.dataset_loader import LoadWatcher
from app.settings import environment_names, load_settings
from lethe_client import Lethe
from tests.api.conftest import Api, open_api
from tests.api.in_process import URL, InProcess, connected
from tests.servers.vllm_replay import Replay, served

GUIDES: Final = Path(__file__).parents[2] / "docs" / "guides"


@pytest.fixture
def lethe(api: Api) -> Iterator[Lethe]:
    with connected(InProcess(api.client, api.world)) as http:
        yield Lethe(URL, "a-service-token", http=http)


def blocks(page: str, language: str) -> list[str]:
    text = (GUIDES / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def follow(page: str, **given: object) -> dict[str, Any]:
    """Run a guide's Python with what it takes as given; return what it has made."""
    names: dict[str, Any] = dict(given)
    for code in blocks(page, "python"):
        exec(compile(code, page, "exec"), names)  # noqa: S102 - our own page
    return names


def test_a_shop_in_40_lines_shows_what_fits_and_forgets(api: Api, lethe: Lethe) -> None:
    made = follow("shop.md", lethe=lethe)

    api.world.settle()
    code = "\n".join(blocks("shop.md", "python")[:1])
    assert len([line for line in code.splitlines() if line.strip()]) <= 45
    assert any(line.startswith("Teapot (as you have Kettle)") for line in made["shelf"])
    assert not any("grinder" in line for line in made["shelf"])
    assert made["receipt"]["statement"]["scope_kind"] == "all"
    assert not lethe.recommend("ann")["personalised"]


def test_the_nightly_mail_goes_to_nobody_who_objected(lethe: Lethe) -> None:
    lethe.exercise("reader-4", "objection")

    made = follow("nightly.md", lethe=lethe, readers=["reader-1", "reader-4", "never-seen"])

    assert set(made["tonight"]) == {"reader-1"}
    assert len(made["tonight"]["reader-1"]) == 3


def test_an_auditor_checks_a_certificate_with_three_things_from_three_people(
    api: Api, lethe: Lethe, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted = lethe.forget("reader-7")
    certificate = lethe.wait(accepted["request_id"], every_s=0.0)["certificate"]
    key = api.world.container.checkpoints.public_key()

    made = follow("auditor.md", certificate=certificate, key=key, receipt=accepted["receipt"])

    told = capsys.readouterr().out
    assert not made["checked"].is_verified  # the page asks for ann, and this is somebody else
    assert "WRONG  subject" in told
    assert told.count("ok ") == 6


@pytest.mark.parametrize(("is_vllm", "form"), [(True, "label"), (False, "json")])
def test_a_model_of_ones_own_orders_lists_and_costs_only_the_order_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_vllm: bool, form: str
) -> None:
    for name, value in re.findall(r"export (LETHE\w+)=(\S+)", blocks("llm.md", "sh")[0]):
        monkeypatch.setenv(name, value)
    told = load_settings(data_dir=tmp_path).llm
    replay = Replay(is_vllm=is_vllm)
    with served(replay) as url:
        # The saved model has random weights, which no check of reading lets pass, and its answers
        # are about four candidates.
        given = {
            "base_url": url,
            "model": "tiny",
            "must_read": False,
            "candidates": 4,
            "ttl_s": 0,
        }
        with open_api(tmp_path, llm=told.model_copy(update=given)) as api:
            assert api.world.adapters.llm is not None
            api.world.adapters.llm.ranker.warm_up()
            status = api.world.container.health.readiness().dependencies["llm"]
            with connected(InProcess(api.client, api.world)) as http:
                lethe = Lethe(URL, "a-service-token", http=http)
                asked = follow("llm.md", lethe=lethe)
                replay.chat = lambda _: httpx.Response(500)
                alone = follow("llm.md", lethe=lethe)

    assert told.weight > 0
    assert (status.status, status.ranks_queries) == ("ready", is_vllm)
    assert asked["made_by"] == ("llm", form, False)
    assert alone["made_by"] == ("retrieval", None, True)
    assert len(alone["found"]["items"]) == 4


def test_a_list_of_leavers_ends_with_a_certificate_for_each_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = blocks("leavers.md", "csv")
    head, first, *_ = example.splitlines()
    asked_at = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    first = re.sub(r"2\d{3}-[-\dT:]+Z", asked_at, first)
    people = [first.replace("leaver-0001", f"reader-{number}") for number in range(50)]
    monkeypatch.chdir(tmp_path)
    Path("leavers.csv").write_text("\n".join([head, *people]) + "\n")
    with open_api(tmp_path / "data") as api:
        transport = InProcess(api.client, api.world)
        with Remote(URL, token="a-service-token", transport=transport) as service:
            ends = forget_file(Path("leavers.csv"), service, report_path=None, is_awaited=True)
        key = api.world.container.checkpoints.public_key()

    assert ends == {"completed": 50}
    made = follow("leavers.md", key=key)

    assert made["proved"] == 50
    assert "reader-" not in Path("leavers.report.ndjson").read_text()
    held = [one["certificate"]["statement"]["n_records"] > 0 for one in made["last"].values()]
    assert held.count(True) == 30  # the other twenty were never there


def test_a_csv_is_loaded_but_for_the_line_that_cannot_be_read(api: Api, tmp_path: Path) -> None:
    items, interactions = blocks("csv.md", "csv")
    (tmp_path / "items.csv").write_text(items)
    (tmp_path / "interactions.csv").write_text(interactions)
    bad: list[str] = []
    watcher = LoadWatcher(
        moved=lambda *_: None,
        refused=lambda line: bad.append(f"{line.file}:{line.line}"),
        left_out=lambda _: None,
    )

    dataset = open_dataset(DatasetKind.CSV, tmp_path, now=datetime.now(UTC), options=NOTHING_TOLD)
    result = api.world.container.load.load(dataset, name="guide", watcher=watcher)

    assert result.duplicate == 0, result
    assert (result.items, result.accepted, bad) == (3, 3, ["interactions.csv:5"])


def gorse(request: httpx.Request) -> httpx.Response:
    """Answer as Gorse's server does, two entries a page."""
    at = "2025-11-02T09:00:00Z"

    def made(name: str, comment: str, *, hidden: bool, labels: object) -> dict[str, object]:
        ids = {"ItemId": name, "Comment": comment, "IsHidden": hidden, "Timestamp": at}
        return ids | {"Categories": None if hidden else ["tea"], "Labels": labels}

    entries: dict[str, list[dict[str, object]]] = {
        "Items": [
            made("kettle", "Kettle", hidden=False, labels=["steel"]),
            made("teapot", "Teapot", hidden=False, labels={"colour": "white", "vector": [0.1]}),
            made("cups", "", hidden=True, labels=None),
        ],
        "Feedback": [
            {"FeedbackType": kind, "UserId": user, "ItemId": item, "Timestamp": at, "Comment": ""}
            for kind, user, item in (
                ("star", "gerd", "kettle"),
                ("read", "gerd", "cups"),
                ("share", "gerd", "teapot"),
                ("dislike", "hanna", "teapot"),
            )
        ],
    }
    name = {"/api/items": "Items", "/api/feedback": "Feedback"}[request.url.path]
    start = int(request.url.params["cursor"] or 0)
    rest = len(entries[name]) > start + 2
    page = {"Cursor": str(start + 2) if rest else "", name: entries[name][start : start + 2]}
    return httpx.Response(200, json=page)


def test_what_gorse_has_is_moved_and_what_was_hidden_stays_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    transport = httpx.MockTransport(gorse)
    with httpx.Client(base_url="http://gorse.test:8087", transport=transport) as client:
        follow("from-gorse.md", gorse=client)

    own = ["--data-dir", str(tmp_path / "data"), "--json"]
    load = "".join(blocks("from-gorse.md", "sh")).removeprefix("lethe ")
    commands([*load.split(), *own], standalone_mode=False)
    loaded = json.loads(capsys.readouterr().out.splitlines()[-1])
    commands(["recommend", "gerd", *own], standalone_mode=False)
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])["items"]

    assert (loaded["items"], loaded["accepted"]) == (3, 3)
    assert [one["item_id"] for one in listed] == ["teapot"]


def test_the_page_on_gorse_names_only_settings_that_there_are() -> None:
    page = (GUIDES / "from-gorse.md").read_text(encoding="utf-8")

    assert set(re.findall(r"LETHE_[A-Z_]+[A-Z]", page)) <= {name for name, _ in environment_names()}
