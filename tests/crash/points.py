"""The points at which an erasure is killed, who is forgotten, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from app.domain.erasure.request import Step
from tests.crash.remains import Remains
from tests.e2e.calls import Api, user

POINTS: Final = [
    *(f"{step}:{moment}" for step in Step for moment in ("before", "done")),
    "complete:before",
    "complete:done",
]
"""In the order in which an erasure comes to them; user n is killed at the n-th."""
WHOLE: Final = ["memory:done", "maintenance:before", "rows:done", "complete:before"]
"""Points at which a whole Celery worker dies, and not only the child that does the work."""
FORGOTTEN: Final = range(len(POINTS) + len(WHOLE))
BYSTANDERS: Final = range(100, 106)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of forgets left behind.

    Args:
        statuses: of the requests, by the point at which each was killed.
        lists: what bystanders are recommended in the end.
    """

    statuses: dict[str, dict[str, Any]]
    lists: list[dict[str, Any]]
    remains: Remains


def lists_of_bystanders(api: Api) -> list[dict[str, Any]]:
    """Return what each bystander is recommended."""
    return [api.recommend(user(n)) for n in BYSTANDERS]


def check(status: dict[str, Any], *, killed_at: str) -> None:
    """Check the status of a request whose first attempt was killed at a point.

    Raises:
        AssertionError: it is not completed, or a step was done again without need, or a step
            that was not journalled was not done again.
    """
    attempts = {step["step"]: step["attempt"] for step in status["steps"]}
    killed_in = killed_at.partition(":")[0]
    again = [step.value for step in Step]
    while again and again[0] != killed_in:
        again.pop(0)

    assert status["status"] == "completed"
    assert status["attempts"] == (1 if killed_at == "complete:done" else 2)
    assert [step for step, attempt in attempts.items() if attempt == 2] == again
    assert list(attempts) == [step.value for step in Step]


def check_equal(run: Run, undisturbed: Run) -> None:
    """Check that kills left no trace: in no store, in no list, in the audit log.

    Raises:
        AssertionError: they did.
    """
    run.remains.require_one_effect_each(n_requests=len(FORGOTTEN))
    for part in fields(Remains):  # one by one, so that a failure shows which differs
        assert getattr(run.remains, part.name) == getattr(undisturbed.remains, part.name), part.name
    assert run.lists == undisturbed.lists
    assert all(one["personalised"] for one in run.lists)
    # The canary of the probe is a user, too.
    assert len(run.remains.rows["subject"]) == len(BYSTANDERS) + 1
    assert run.remains.n_keys == len(BYSTANDERS) + 1
    assert len(run.remains.rows["tombstone"]) == len(FORGOTTEN)
