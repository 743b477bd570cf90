"""Many people at once: ``POST /forget/batch``, and ``lethe forget --file`` over it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from app.cli import forget_file as command
from app.cli.forget_file import forget_file
from app.cli.remote import Remote
from app.domain.errors import DependencyUnavailableError, InvalidInputError
from tests.api.conftest import SERVICE, Api
from tests.api.in_process import URL, InProcess

ALL: Final = {"kind": "all"}
TOKEN: Final = "a-service-token"


def send(api: Api, entries: Iterable[object]) -> list[dict[str, Any]]:
    lines = "".join(json.dumps(one) + "\n" for one in entries)
    headers = SERVICE | {"Content-Type": "application/x-ndjson"}
    answer = api.client.post("/forget/batch", content=lines, headers=headers)
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


def test_each_entry_has_its_line_and_a_wrong_one_keeps_out_no_other(api: Api) -> None:
    key = {"idempotency_key": "batch-1"}
    sent = [
        {"user": "reader-1", "scope": ALL, **key},
        {"user": " reader-2", "scope": ALL},
        {"user": "reader-3", "scope": ALL, "requested_at": "1999-01-01T00:00:00Z"},
        {"user": "reader-1", "scope": {"kind": "items", "item_ids": ["sea-01"]}, **key},
        {"user": "reader-4", "scope": {"kind": "topic", "text": "whale voyage"}},
        {
            "user": "reader-3",
            "scope": {
                "kind": "period",
                "from": "2999-01-01T00:00:00Z",
                "to": "2999-02-01T00:00:00Z",
            },
        },
    ]

    told = send(api, sent)

    assert [one.get("code") for one in told] == [
        None,
        "invalid_input",
        "invalid_input",
        "idempotency_conflict",
        None,
        "invalid_input",
    ]
    assert [told[n]["errors"][0]["field"] for n in (1, 2)] == ["user", "requested_at"]
    assert {told[n]["status"] for n in (0, 4)} == {"suppressed"}
    lists = api.client.get("/recommend/reader-1", headers=SERVICE).json()
    assert lists["personalised"] is False
    assert api.client.get("/recommend/reader-3", headers=SERVICE).json()["personalised"] is True


def test_a_batch_that_is_sent_again_gives_the_same_requests(api: Api) -> None:
    sent = [
        {"user": f"reader-{n}", "scope": ALL, "idempotency_key": f"again-{n}"} for n in (5, 6, 7)
    ]

    first, second = send(api, sent[:2]), send(api, sent)

    assert [one["receipt"] for one in first] == [one["receipt"] for one in second[:2]]
    assert len({one["request_id"] for one in second}) == 3


def test_ids_of_one_person_are_requests_of_their_own_under_one_ticket(api: Api) -> None:
    ticket = str(uuid4())

    told = send(
        api,
        [{"user": f"person-{n}", "scope": ALL, "subject_request_id": ticket} for n in (1, 2)],
    )

    assert len({one["request_id"] for one in told}) == 2
    first, second = (one["receipt"]["statement"]["subject"] for one in told)
    assert first != second


class _Broken(Remote):
    """A service whose second answer breaks off in the middle."""

    n_calls = 0

    def stream(self, path: str, entries: Any) -> Any:  # noqa: ANN401 - as its base
        _Broken.n_calls += 1
        found = super().stream(path, entries)
        if _Broken.n_calls == 2:
            yield from islice(found, 1)
            raise DependencyUnavailableError("it broke off")
        yield from found


def test_a_list_that_is_broken_off_goes_on_where_it_was(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("user,reason\n" + "".join(f"reader-{n},child\n" for n in range(10, 18)))
    transport = InProcess(api.client, api.world)
    monkeypatch.setattr(command, "_AT_ONCE", 3)
    service = _Broken(URL, token=TOKEN, transport=transport)

    def run(*, is_awaited: bool = False) -> dict[str, int]:
        return forget_file(file, service, report_path=None, is_awaited=is_awaited)

    with pytest.raises(DependencyUnavailableError):
        run()
    report = tmp_path / "people.report.ndjson"
    before = [json.loads(line) for line in report.read_text().splitlines()[1:]]
    assert run() == {"suppressed": 8}
    assert run(is_awaited=True) == {"completed": 8}

    told = [json.loads(line) for line in report.read_text().splitlines()[1:]]
    assert len(before) == 4
    assert len({one["request_id"] for one in told}) == 8
    assert [one["line"] for one in told if one.get("certificate")] == list(range(2, 10))
    assert "reader-1" not in report.read_text()
    assert report.stat().st_mode & 0o777 == 0o600
    file.write_text("user\nsomebody-else\n")
    with pytest.raises(InvalidInputError, match="another file"):
        run()


@pytest.mark.parametrize("text", ["reader-1\n", "user,colour\nann,red\n", ""])
def test_a_file_that_is_no_list_of_people_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "people.csv"
    file.write_text(text)

    with pytest.raises(InvalidInputError, match="needs a first row with user"):
        forget_file(file, Remote(URL, token=TOKEN), report_path=None, is_awaited=False)
