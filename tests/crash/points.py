"""The points at which an erasure is killed, and what a finished one must show then."""

from __future__ import annotations

from typing import Any, Final

from app.domain.forgetting import Step

POINTS: Final = [
    *(f"{step}:{moment}" for step in Step for moment in ("before", "done")),
    "complete:before",
    "complete:done",
]
"""In the order in which an erasure comes to them."""


def check(status: dict[str, Any], *, killed_at: str) -> None:
    """Check the status of a request whose first attempt was killed at a point.

    Raises:
        AssertionError: it is not completed, or a step was done again without need, or a step
            that was not journalled was not done again.
    """
    attempts = {step["step"]: step["attempt"] for step in status["steps"]}
    killed_in = killed_at.partition(":")[0]
    again = [step.value for step in Step]
    while killed_in not in again[:1] and again:
        again.pop(0)

    assert status["status"] == "completed"
    assert status["attempts"] == (1 if killed_at == "complete:done" else 2)
    assert [step for step, attempt in attempts.items() if attempt == 2] == again
    assert list(attempts) == [step.value for step in Step]
