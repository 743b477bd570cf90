"""The real repository on SQLite against the pure rules, and that no rule is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from app.adapters.db import schema
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.ports.persistence.requests import ErasureRequests
from app.services.administration.erasure_requests import ErasureRequestAdmin
from app.services.erasure.journal import ErasureJournal
from tests.stateful.leases import Row
from tests.stateful.machine import ErasureMachine

RULES: Final = {
    "ErasureRequests.claim": ("claim", Row.claimed),
    "ErasureRequests.heartbeat": ("beat", Row.beaten),
    "ErasureRequests.release": ("stop", Row.released),
    "ErasureRequests.postpone": ("stop", Row.put_off),
    "ErasureRequests.transition": ("stop", Row.failed),
    "ErasureRequests.record_step": ("work", Row.written),
    "ErasureRequests.clear_steps": ("find_residue", Row.started_over),
    "ErasureRequests.clear_subject": ("work", Row.written),
    "ErasureJournal.enter": ("work", Row.written),
    "ErasureJournal.step": ("work", Row.written),
    "ErasureJournal.transition": ("work", Row.written),
    "ErasureJournal.start_over": ("find_residue", Row.started_over),
    "ErasureRequestAdmin.retry": ("retry", Row.retried),
    "ErasureRequestAdmin.hold": ("administer", Row.held),
    "ErasureRequestAdmin.release": ("administer", Row.let_go),
    "ErasureRequestAdmin.reject": ("administer", Row.rejected),
}
"""What changes a request: the rule of the machine that does it, the rule it is held against."""
NO_RULE: Final = {
    "ErasureRequests.add": "every run begins with it",
    "ErasureRequests.extend": "moves the due date, which decides no turn",
    "ErasureRequestAdmin.extend": "the same",
    "ErasureRequests.clear_final_of": "is about requests that nobody works on",
    "ErasureJournal.order": "reads",
    "ErasureJournal.require_manifest": "reads",
    "ErasureJournal.pass_point": "tells a test how far the work is",
    "ErasureJournal.require_fence": "reads; every write asks it",
    "ErasureRequestAdmin.page": "reads",
    "ErasureRequests.set_note": "is a note, which decides no turn",
    "ErasureRequestAdmin.note": "the same",
    "ErasureRequestAdmin.hold_user": "holds each request as the rule does; tests/services/erasure",
    **{
        f"ErasureRequests.{name}": "reads"
        for name in (
            *("get", "find", "find_open", "open_of", "unfinished_of", "claimable", "steps", "page"),
            *("count_by_state", "waiting_by_code", "oldest_open", "n_overdue"),
            *("due_next", "matching"),
        )
    },
}
"""What the rules of leases leave out, and why."""


def _methods(kind: type) -> set[str]:
    return {f"{kind.__name__}.{name}" for name in vars(kind) if not name.startswith("_")}


def test_every_change_of_a_request_has_its_rule() -> None:
    real = [_methods(kind) for kind in (ErasureRequests, ErasureJournal, ErasureRequestAdmin)]

    assert set().union(*real) == RULES.keys() | NO_RULE.keys()


def test_every_rule_is_that_of_a_change() -> None:
    of_the_machine = {name for name, made in vars(ErasureMachine).items() if _is_rule(made)}
    of_the_row = {
        made for name, made in vars(Row).items() if callable(made) and not name.startswith("_")
    }

    assert {name for name, _ in RULES.values()} == of_the_machine - {"tick"}
    assert {made for _, made in RULES.values()} == of_the_row - {Row.ticked, Row.next_write}


def _is_rule(made: object) -> bool:
    return hasattr(made, "hypothesis_stateful_rule")


@pytest.fixture(scope="module")
def uows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlUnitsOfWork]:
    url = f"sqlite:///{tmp_path_factory.mktemp('machine')}/lethe.db"
    schema.upgrade(url)
    opened = SqlUnitsOfWork(open_engine(url))
    yield opened
    opened.close()


@pytest.mark.hypothesis
@pytest.mark.timeout(900)
def test_sql_keeps_the_rules_in_every_order_of_events(uows: SqlUnitsOfWork) -> None:
    ErasureMachine.uows = uows
    # An example takes a tenth of a second, and shrinking one takes hundreds: only where the
    # seed is new each time, and the failure might not be met again.
    left_out = {Phase.shrink, Phase.explain} if settings().derandomize else set()

    run_state_machine_as_test(
        ErasureMachine,
        settings=settings(
            max_examples=30 if settings().derandomize else 100,
            stateful_step_count=40,
            phases=[phase for phase in Phase if phase not in left_out],
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
