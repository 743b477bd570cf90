"""Calibration finds out which form of a model helps, and keeps nothing of those it asks about."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import exp, log
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.domain.erasure.scope import AllScope
from app.domain.errors import DependencyUnavailableError
from app.domain.models import ItemId
from app.domain.recommendation.finding import Finding
from app.services.erasure.requests import ForgetCommand
from app.services.recommendation.reading_check import Reading
from app.settings_llm import LlmSettings
from tests.servers.vllm_replay import Replay, served
from tests.world import TASTES, World, catalogue, open_world

N_READERS = 16


class ReadsTheLastLine(Replay):
    """A vLLM whose model takes the item next to what the person liked last; or the letter A."""

    def __init__(self, *, reads: bool = True) -> None:
        super().__init__(self._answer)
        self.reads = reads
        self.completions = lambda _: httpx.Response(404)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        text = body["messages"][-1]["content"]
        last = re.findall(r"^- .*", text, flags=re.MULTILINE)[-1:] or [""]
        shown = dict(re.findall(r"^(\w)\) (.*)$", text, flags=re.MULTILINE))
        labels = body["structured_outputs"]["choice"]
        weights = [self._worth(last[0], shown[one], place) for place, one in enumerate(labels)]
        total = sum(map(exp, weights))
        top = [
            {"token": one, "logprob": min(weight - log(total), 0.0)}
            for one, weight in zip(labels, weights, strict=True)
        ]
        usage = {"prompt_tokens": len(text) // 4, "completion_tokens": 1}
        choices: list[dict[str, Any]] = [{"logprobs": {"content": [{"top_logprobs": top}]}}]
        return httpx.Response(200, json={"choices": choices, "usage": usage})

    def _worth(self, last: str, line: str, place: int) -> float:
        if not self.reads:
            return -float(place)
        shared = len({*re.findall("[a-z]{4,}", last)} & {*re.findall("[a-z]{4,}", line)})
        there, here = ([int(one) for one in re.findall(r" (\d+)", text)] for text in (last, line))
        return shared - abs(there[0] + 1 - here[0]) / 10 if there and here else float(shared)


@contextmanager
def world_of(folder: Path, model: Replay, *, must_read: bool = True) -> Iterator[World]:
    """Open a world of readers who read anything, and then three volumes of one series in order."""
    rng = random.Random(11)  # noqa: S311 - which books, no secret
    with served(model) as url:
        llm = LlmSettings(base_url=url, model="tiny", timeout_s=30, must_read=must_read)
        with open_world(folder, llm=llm) as world:
            # As many as it takes to see whether a model reads.
            others = [replace(one, item_id=ItemId(f"{one.item_id}-b")) for one in catalogue()]
            world.container.catalogue.upsert([*catalogue(), *others])
            for reader in range(N_READERS):
                taste, first = rng.choice(list(TASTES)), rng.randrange(16)
                series = [f"{taste}-{first + step:02d}" for step in range(3)]
                books = [one.item_id for one in catalogue() if one.item_id not in series]
                before = rng.sample(books, 8)
                world.read(f"series-{reader}", [*before, *series])
            ranker = world.adapters.llm
            assert ranker is not None
            ranker.ranker.warm_up()
            yield world


def measured(world: World, **changes: Any) -> dict[tuple[str, str | None], Finding]:  # noqa: ANN401 (passed on)
    given = {"people": N_READERS, "seed": 1, **changes}
    found = world.container.calibration.measure(**given)
    return {(one.situation, one.form): one for one in found}


def test_a_model_that_reads_pays_and_one_that_does_not_is_not_asked(tmp_path: Path) -> None:
    with world_of(tmp_path / "reads", ReadsTheLastLine()) as world, capture_logs() as logged:
        found = measured(world)
    with world_of(tmp_path / "not", ReadsTheLastLine(reads=False)) as world:
        refused = measured(world)
        assert world.container.calibration.reading is Reading.LETTER_DECIDES

    label = found["history", "label"]
    assert label.pays
    assert label.weight > 0
    assert label.alone > label.without
    assert label.cases == N_READERS
    assert ("history", "label") not in refused
    assert all("pseudonym" not in one for one in logged)


def test_a_model_that_says_the_letter_does_not_pay_when_it_is_asked(tmp_path: Path) -> None:
    with world_of(tmp_path, ReadsTheLastLine(reads=False), must_read=False) as world:
        found = measured(world)

    assert not found["history", "label"].pays


def test_a_form_that_the_server_has_not_is_told_as_unanswered(tmp_path: Path) -> None:
    with world_of(tmp_path, ReadsTheLastLine()) as world:
        after: list[str] = []
        found = measured(
            world,
            people=2,
            queries=[("a whale", frozenset({ItemId("sea-03")}))],
            recover=lambda: after.append("a list without an answer"),
        )

    assert len(after) == 3 * sum(one.failed for one in found.values()) > 0
    assert found["query", None].failed == 1
    assert found["query", None].cases == 0


class OftenTooLate(ReadsTheLastLine):
    """Two of three rankings do not come while there is trouble."""

    def __init__(self) -> None:
        super().__init__()
        self.is_busy = False
        self.n_asked = 0

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.n_asked += 1
        return (
            httpx.Response(503) if self.is_busy and self.n_asked % 3 else super()._answer(request)
        )


def test_a_list_that_got_no_answer_in_time_is_asked_for_again_and_counted_as_late(
    tmp_path: Path,
) -> None:
    quiet, model = ReadsTheLastLine(), OftenTooLate()
    with world_of(tmp_path / "quiet", quiet) as world:
        usual = measured(world)["history", "label"]
    with world_of(tmp_path / "busy", model) as world:
        world.container.calibration.measure(people=2, seed=1)  # the check that it reads
        model.is_busy, model.n_asked = True, 0
        found = measured(world)["history", "label"]

    assert found.failed == 0
    assert found.late == found.cases == N_READERS
    assert found.gain[0] == pytest.approx(usual.gain[0])  # the intervals go by the order of people


def test_the_counts_are_as_before_and_nothing_is_held_of_whom_it_asked_about(
    tmp_path: Path,
) -> None:
    with world_of(tmp_path, ReadsTheLastLine()) as world:
        world.container.feed.start()
        before = world.adapters.neighbours.state_hash(in_full=True)
        measured(world, people=3)

        assert world.adapters.neighbours.state_hash(in_full=True) == before


def test_whoever_is_forgotten_meanwhile_is_asked_about_no_more(tmp_path: Path) -> None:
    with world_of(tmp_path, ReadsTheLastLine()) as world:
        names = [f"series-{n}" for n in range(N_READERS)]

        def forget_everybody(_: str, n: int) -> None:
            if n == 1:
                for name in names:
                    world.container.forget.accept(ForgetCommand(world.user(name), AllScope()))
                names.clear()

        found = measured(world, tell=forget_everybody)

    assert sum(one.cases + one.failed for one in found.values()) == 2  # both forms of one list


def test_whoever_is_forgotten_while_a_server_recovers_is_asked_about_no_more(
    tmp_path: Path,
) -> None:
    model = OftenTooLate()
    with world_of(tmp_path, model) as world:
        world.container.calibration.measure(people=2, seed=1)
        model.is_busy, model.n_asked = True, 0
        names = [f"series-{n}" for n in range(N_READERS)]

        def forget_everybody() -> None:
            for name in names:
                world.container.forget.accept(ForgetCommand(world.user(name), AllScope()))
            names.clear()

        found = measured(world, recover=forget_everybody)

    assert model.n_asked == 1
    assert sum(one.cases + one.failed + one.late for one in found.values()) == 0


def test_the_command_prints_lines_of_json_and_sets_what_pays(tmp_path: Path) -> None:
    folder, settings = tmp_path / "data", tmp_path / ".env"
    settings.write_text("LETHE_PEPPER=x\nLETHE_LLM__WEIGHT=1\n", encoding="utf-8")
    model = ReadsTheLastLine()
    with world_of(folder, model):
        pass  # the data are there, and nobody serves them
    with served(model) as url:
        lethe = str(Path(sys.executable).with_name("lethe"))
        given = ("--people", str(N_READERS), "--seed", "1", "--write", str(settings), "--json")
        done = subprocess.run(
            [lethe, "llm", "calibrate", "--data-dir", str(folder), *given],
            capture_output=True,
            check=False,
            env={
                **os.environ,
                "LETHE_LLM__BASE_URL": url,
                "LETHE_LLM__MODEL": "tiny",
                "LETHE_LLM__TIMEOUT_S": "30",
                "LETHE_CHROMA__N_SHARDS": "2",
            },
        )
    told = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 0, done.stderr
    assert told[0] == {"reading": "reads"}
    [label] = [one for one in told if one.get("form") == "label" and one["situation"] == "history"]
    assert label["pays"]
    assert told[-1]["settings"]["LETHE_LLM__WEIGHT"] == str(label["weight"])
    assert settings.read_text(encoding="utf-8") == (
        f"LETHE_PEPPER=x\nLETHE_LLM__WEIGHT={label['weight']}\n"
    )


def test_without_a_model_it_says_what_to_set(tmp_path: Path) -> None:
    with (
        open_world(tmp_path) as world,
        pytest.raises(DependencyUnavailableError, match="LETHE_LLM__BASE_URL"),
    ):
        world.container.calibration.measure(people=2, seed=1)
