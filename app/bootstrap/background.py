"""The background work of an API process."""

from __future__ import annotations

import gc
from functools import partial
from typing import Final

import structlog

from app.adapters.queue.inline import PeriodicTask
from app.bootstrap import Runtime
from app.bootstrap.chroma import chroma_directory
from app.domain.errors import AppError, IntegrityError
from app.services.administration.health import LOOK_S

_log = structlog.get_logger(__name__)
_CHECKPOINT_S: Final = 60.0
_FOLLOW_S: Final = 0.2
_LLM_CHECK_S: Final = 5.0
"""Seconds between two checks of the LLM servers; the first one warms them up."""
NEVER_S: Final = 86_400.0 * 365
"""For a process that rings for what waits and works on none of it."""


class Background:
    """The follower of the change feed, the sweeper, the inline queue, a look at the LLM."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        container, forget = runtime.container, runtime.settings.forget
        self._follower = PeriodicTask("feed-follower", self._follow, interval_s=_FOLLOW_S)
        self._sweeper = PeriodicTask("sweeper", self._sweep, interval_s=forget.sweep_s)
        llm = runtime.llm
        self._llm = (
            []
            if llm is None
            else [
                PeriodicTask("llm", llm.check, interval_s=_LLM_CHECK_S),
                PeriodicTask("llm-reading", container.reading.refresh, interval_s=_LLM_CHECK_S),
            ]
        )
        self._health = [
            PeriodicTask(f"health-{name}", partial(container.health.look, name), interval_s=LOOK_S)
            for name in container.health.looked_at
        ]
        self._signer = PeriodicTask("checkpoints", self._sign, interval_s=_CHECKPOINT_S)

    def _sign(self) -> None:
        container = self._runtime.container
        container.checkpoints.make()
        container.witnessing.ask()

    def _follow(self) -> None:
        """Take what others changed; of what was deleted no word stays in this process."""
        container = self._runtime.container
        container.feed.acknowledge()
        container.current.now()

    def _sweep(self) -> None:
        container = self._runtime.container
        is_inline = self._runtime.inline is not None
        container.sweep.sweep(take_over_after_s=self._take_over_s())
        container.feed.prune()
        container.restore.check()
        if is_inline:
            container.removal.finish()
            container.rechecks.run_due()
            container.webhooks.deliver()
            container.retention.run()
        container.current.refresh()

    def _take_over_s(self) -> float:
        """Return after how long a request is worked on here; never, away from Chroma's files."""
        settings = self._runtime.settings
        if self._runtime.inline is not None:
            return 0.0
        return NEVER_S if chroma_directory(settings) is None else settings.forget.take_over_s

    def start(self) -> None:
        """Check the audit log, build the neighbours, start everything; then requests can be served.

        Raises:
            IntegrityError: the audit log is not whole; nothing may be added to it.
        """
        report = self._runtime.container.audit_check.check()
        if not report.is_whole:
            raise IntegrityError(f"the audit log is not whole: {report.problems[0]}")
        self._check_restore()
        container = self._runtime.container
        container.audit.note_start(container.about, role="api")
        compared = self._runtime.container.reconcile.check()
        if not compared.is_consistent:
            # Not a reason to keep people from being forgotten: the log itself is whole.
            _log.error("audit_contradicted", n_requests=compared.n_contradicted)
        self._runtime.container.feed.start()
        self._runtime.container.current.now()  # or the first answer would wait for it
        self._follower.start()
        self._sweeper.start()
        self._signer.start()
        if self._runtime.inline is not None:
            self._runtime.inline.start(self._runtime.container.erase.execute)
        for task in (*self._llm, *self._health):
            task.start()
        gc.collect()
        # Else each full collection looks through all that was imported and counted until now, and
        # for these 0.2 s nobody is answered.
        gc.freeze()

    def _check_restore(self) -> None:
        """Look for a restore before anybody is served; the sweeper checks again."""
        try:
            self._runtime.container.witnessing.ask()
            self._runtime.container.restore.check()
        except AppError as error:
            _log.warning("restore_unchecked", code=error.code)

    def stop(self) -> None:
        """Stop everything in the reverse order."""
        gc.unfreeze()
        for task in (*self._health, *self._llm):
            task.stop()
        if self._runtime.inline is not None:
            self._runtime.inline.stop()
        self._signer.stop()
        self._sweeper.stop()
        self._follower.stop()
        self._runtime.container.feed.stop()
