"""What calibration advises, and how it is written down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.llm import advised, read_queries, wait_for, write_settings
from app.domain.errors import DependencyUnavailableError, InvalidInputError, RankerError
from app.domain.recommendation.finding import Finding, Situation


def found(situation: Situation, form: str, *, weight: float, low: float) -> Finding:
    gain = (low + 0.05, low, low + 0.1)
    return Finding(situation, form, cases=40, weight=weight, gain=gain)


def test_what_pays_is_advised_and_nothing_is_said_without_a_list() -> None:
    label = found(Situation.HISTORY, "label", weight=0.1, low=0.01)
    titles = found(Situation.HISTORY, "likelihood", weight=0.2, low=0.03)
    query = found(Situation.QUERY, "likelihood", weight=0.3, low=-0.01)

    assert advised([label]) == {"LETHE_LLM__WEIGHT": "0.1"}
    assert advised([label, titles]) == {
        "LETHE_LLM__WEIGHT": "0.2",
        "LETHE_LLM__MODE": "likelihood",
    }
    assert advised([query]) == {"LETHE_LLM__QUERY_WEIGHT": "0.0"}
    assert advised([Finding(Situation.QUERY, None, failed=3)]) == {}
    assert advised([replace(label, failed=label.cases)]) == {}, "most lists had no answer"


def test_a_model_that_was_given_up_is_waited_for_and_not_for_ever() -> None:
    left = iter([DependencyUnavailableError("cooling down"), RankerError("nonsense"), None])
    waited: list[float] = []

    def warm_up() -> None:
        if (error := next(left)) is not None:
            raise error

    def never() -> None:
        raise DependencyUnavailableError("down")

    assert wait_for(warm_up, wait=waited.append)
    assert waited == [1, 1]
    assert not wait_for(never, wait=waited.append)
    assert len(waited) == 62


def test_settings_replace_their_own_lines_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# kept\nLETHE_LLM__WEIGHT=1\nA=b=c\n", encoding="utf-8")

    write_settings(path, {"LETHE_LLM__WEIGHT": "0.1", "LETHE_LLM__MODE": "likelihood"})
    write_settings(tmp_path / "new", {"A": "1"})

    kept = "# kept\nA=b=c\nLETHE_LLM__WEIGHT=0.1\nLETHE_LLM__MODE=likelihood\n"
    assert path.read_text(encoding="utf-8") == kept
    assert (tmp_path / "new").read_text(encoding="utf-8") == "A=1\n"


def test_queries_are_rows_of_words_and_ids(tmp_path: Path) -> None:
    path = tmp_path / "queries.tsv"
    path.write_text("query\twanted\na whale\tmoby-dick typee\n", encoding="utf-8")
    bad = tmp_path / "bad.tsv"
    bad.write_text("query\twanted\na whale\n", encoding="utf-8")

    assert read_queries(path) == [("a whale", frozenset({"moby-dick", "typee"}))]
    with pytest.raises(InvalidInputError, match="row 2"):
        read_queries(bad)
