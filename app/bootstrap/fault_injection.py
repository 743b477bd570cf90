"""Points at which tests stop a process, to kill it there or to let it sleep past its lease."""

from __future__ import annotations

import signal
import threading

from app.services.erasure.journal import OnPoint, pass_by


def stopping_at(wanted: str | None) -> OnPoint:
    """Return what an erasure calls at each point: stop this process at ``wanted``.

    The process stops and does not die: whoever started it sees that it did, and chooses between
    SIGKILL to any part of it and SIGCONT.

    Args:
        wanted: a point, such as ``memory:before``, in the first attempt only, so that the request
            can be finished; with ``!`` before it in every attempt; ``*`` for every point of the
            first attempt; None for none.
    """
    if wanted is None:
        return pass_by

    def stop(point: str, attempt: int, /) -> None:
        is_here = attempt == 1 and wanted in {"*", point}
        if is_here or wanted == f"!{point}":
            # Sent to this thread, it takes effect here; sent to the process, some steps later.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    return stop
