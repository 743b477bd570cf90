"""The race of recommendations with forgets, small; benchmarks/chaos/race.py runs it large."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.race import Answer, Call, judge, race
from tests.e2e.calls import calling
from tests.e2e.processes import QUICK, serving


@pytest.mark.timeout(600)
def test_no_answer_rests_on_what_was_forgotten(tmp_path: Path) -> None:
    environment = QUICK | {"LETHE_DATA_DIR": str(tmp_path / "data")}
    with serving(environment, folder=tmp_path) as running, calling(running.url) as api:
        figures = race(api, running.url, n_users=20, calls_each=25, n_clients=16)

    assert figures["recommendations"] == 500
    assert figures["forgets"] == 20
    assert figures["broken_after_the_202"] == 0
    assert int(str(figures["rested_on_it_before_the_202"])) > 0, "the search finds nothing at all"
    assert int(str(figures["in_flight_at_the_202"])) > 0, "there was no race"
    assert figures["arrived_late"] == 0, figures["arrived_late_ms"]


def _recommended(*, sent_s: float, arrived_s: float, epoch: int, because: str) -> Answer:
    body = {
        "personalised": True,
        "epoch": epoch,
        "items": [{"because": [{"item_id": because}]}],
    }
    return Answer(Call(0), sent_s, arrived_s, body)


def test_the_judge_sees_every_kind_of_answer() -> None:
    answers = [
        Answer(Call(0, frozenset({"a"})), 10.0, 11.0, {}),
        _recommended(sent_s=8, arrived_s=9, epoch=1, because="a"),
        _recommended(sent_s=9, arrived_s=11.5, epoch=1, because="b"),
        _recommended(sent_s=9, arrived_s=12.0, epoch=2, because="b"),
        _recommended(sent_s=12, arrived_s=13, epoch=2, because="a"),
        _recommended(sent_s=12, arrived_s=13, epoch=2, because="b"),
    ]

    found = judge(answers)

    assert (found.rested_before, found.in_flight, found.broken) == (1, 2, 1)
    assert found.late_ms == [500.0]
