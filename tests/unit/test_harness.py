from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from benchmarks.harness import commit, machine, write_result


def test_result_names_machine_commit_and_date(tmp_path: Path) -> None:
    path = write_result("erase_latency", {"seed": 7, "p95_ms": 1.5}, folder=tmp_path / "results")

    text = path.read_text()
    result = json.loads(text)
    assert path == tmp_path / "results" / "erase_latency.json"
    assert list(result) == sorted(result)
    assert result["p95_ms"] == 1.5
    assert result["machine"]["python"] == platform.python_version()
    assert result["machine"]["cores"] >= 1
    assert result["commit"] == commit()
    assert result["date"].endswith("+00:00")
    assert text.endswith("}\n")


def test_machine_is_described_and_not_named() -> None:
    assert platform.node()
    assert platform.node() not in json.dumps(machine())


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("no_seed", {"p95_ms": 1.5}),
        ("reserved", {"seed": 1, "commit": "abc"}),
        ("../escape", {"seed": 1}),
        ("Upper", {"seed": 1}),
        ("", {"seed": 1}),
        ("not_a_number", {"seed": 1, "p95_ms": float("nan")}),
    ],
)
def test_result_that_nobody_could_check_is_refused(
    tmp_path: Path, name: str, payload: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"."):
        write_result(name, payload, folder=tmp_path)

    assert list(tmp_path.iterdir()) == []
