"""The split on which rankings are measured leaks nothing into what the model is shown."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from app.bootstrap.llm import prompting_of
from app.domain.models import ItemId
from app.domain.recommendation.memory_selection import Strategy
from app.ports.dataset import DatasetKind
from app.settings_llm import LlmSettings
from benchmarks.llm.people import Case, Part, People, Raw, split_people

N_PERSONS = 16


def leaks(cases: Sequence[Case], *, others: dict[int, frozenset[ItemId]]) -> list[str]:
    """Return what is shown or ranked that must not be."""
    found = []
    for case in cases:
        held_out = case.person.wanted | others[case.person.number]
        candidates = {one.item_id for one in case.candidates}
        for strategy, memories in case.memories.items():
            shown = {one.item.item_id for one in memories if one.item is not None}
            found += [f"{strategy}: held-out item shown"] * bool(shown & held_out)
            found += [f"{strategy}: shown item ranked"] * bool(shown & candidates)
        found += ["history ranked"] * bool(candidates & case.person.seen)
        found += ["history held out"] * bool(case.person.seen & held_out)
        found += ["candidate twice"] * (len(candidates) != len(case.candidates))
        found += ["other part ranked"] * bool(candidates & case.person.never)
    return found


def cases_of(raw: Raw, part: Part) -> list[Case]:
    only = np.random.default_rng(1).permutation(len(raw.interactions))[:N_PERSONS].tolist()
    prompting = prompting_of(LlmSettings())
    return People(raw, part=part).cases(strategies=list(Strategy), prompting=prompting, only=only)


def check(raw: Raw, cases: Sequence[Case]) -> None:
    validation = {one.number: one.wanted for one in split_people(raw, part="valid")}

    assert len(cases) >= N_PERSONS // 2
    assert leaks(cases, others=validation) == []
    assert all(case.memories[Strategy.ATTENTION] for case in cases)
    assert all(case.memories[Strategy.NONE] == [] for case in cases)


@pytest.fixture(scope="module")
def demo() -> Raw:
    return Raw.read(DatasetKind.DEMO)


@pytest.fixture(scope="module")
def cases(demo: Raw) -> list[Case]:
    return cases_of(demo, "test")


def test_nothing_leaks_when_the_demo_set_is_split(demo: Raw, cases: list[Case]) -> None:
    check(demo, cases)


@pytest.mark.movielens
def test_nothing_leaks_when_movielens_is_split() -> None:
    raw = Raw.read(DatasetKind.ML_100K)

    check(raw, cases_of(raw, "test"))


def test_a_leak_is_found_when_a_wanted_item_is_in_the_history(cases: list[Case]) -> None:
    case = cases[0]
    stolen = replace(case.person.history[0], item_id=next(iter(case.person.wanted)))
    leaky = replace(case, person=replace(case.person, history=[*case.person.history, stolen]))

    assert "history held out" in leaks([leaky], others={case.person.number: frozenset()})
