"""Points at which tests stop a process, to kill it there or to let it sleep past its lease."""

from __future__ import annotations

import os
import signal

from app.services.erasure_run import OnPoint, pass_by


def stopping_at(wanted: str | None) -> OnPoint:
    """Return what an erasure calls at each point: stop this process at ``wanted``, once a request.

    The process stops and does not die: whoever started it sees that it did, and chooses between
    SIGKILL to any part of it and SIGCONT. Later attempts pass, so the request can be finished.
    """
    if wanted is None:
        return pass_by

    def stop(point: str, attempt: int, /) -> None:
        if point == wanted and attempt == 1:
            os.kill(os.getpid(), signal.SIGSTOP)

    return stop
