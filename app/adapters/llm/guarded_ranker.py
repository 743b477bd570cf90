"""One server behind a circuit breaker: one that does not work costs a request nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread

import structlog

from app.adapters.llm.circuit_breaker import BreakerState, CircuitBreaker
from app.adapters.llm.ranker import Form, FormUnsupportedError
from app.domain.errors import AppError, DependencyUnavailableError, RankerError
from app.ports.ranker import LlmRanking, RankingForm, RankingTask

Background = Callable[[Callable[[], None]], object]
"""Runs a function later, or on another thread, and returns at once."""

log = structlog.get_logger(__name__)


def in_thread(work: Callable[[], None]) -> None:
    """Run ``work`` on a thread that does not keep the process alive."""
    Thread(target=work, name="llm-warm-up", daemon=True).start()


class GuardedRanker:
    """Ranks in the first form that the server can, and refuses while the server does not work.

    While the breaker is open a call is refused at once. The trial after the cool-down is a
    warm-up in the background, set off by a call and paid by none; so a server that starts
    late, or comes back with a cold grammar cache, is picked up by itself.

    Args:
        forms: ways of ranking over this server, the best first. A server that could rank in a
            form and is set too tight for it is an error, and no reason to take the next one.
        by_query: the way of ranking for tasks with a query, and for those that ask for it; off
            where the server cannot.
        breaker: its counts and cool-down.
        background: runs the trial.
        ping: asks the server whether it is there; raises where it is not.
    """

    def __init__(
        self,
        forms: Sequence[Form],
        *,
        by_query: Form | None = None,
        breaker: CircuitBreaker,
        background: Background = in_thread,
        ping: Callable[[], object] = lambda: None,
    ) -> None:
        self._forms = forms
        self._form = forms[0]
        self._by_query = by_query
        self.ranks_queries = False
        self._breaker = breaker
        self._background = background
        self.warm_ups = 0
        self._ping = ping
        self._said: str | None = None

    @property
    def state(self) -> BreakerState:
        """Whether calls go through."""
        return self._breaker.state

    def check(self) -> None:
        """Look after the server without a request: try an open one again, ask a closed one.

        Raises nothing: what was found is in ``state``, and in the log where it changed.
        """
        if self.state is BreakerState.CLOSED:
            try:
                self._ping()
            except (DependencyUnavailableError, RankerError) as exc:
                self._count_failure(exc)
        else:
            self.wake()

    def wake(self) -> None:
        """Set off a trial in the background, where one is due."""
        if self._breaker.begin_trial():
            self._background(self._quiet_trial)

    def warm_up(self) -> None:
        """Warm the server up now, unless it is ready; refuse while it cools down."""
        if self._breaker.begin_trial():
            self._trial()
        elif self._breaker.state is not BreakerState.CLOSED:
            raise _not_ready()

    def rank(self, task: RankingTask) -> LlmRanking:
        """Rank, or refuse at once while the breaker is open."""
        if self._breaker.state is not BreakerState.CLOSED:
            self.wake()
            raise _not_ready()
        form = self._form_for(task)
        try:
            ranking = form.rank(task)
        except (DependencyUnavailableError, RankerError) as exc:
            self._count_failure(exc)
            raise
        self._breaker.succeeded()
        return ranking

    def _form_for(self, task: RankingTask) -> Form:
        if task.query is None and task.form is not RankingForm.LIKELIHOOD:
            return self._form
        if self._by_query is None or not self.ranks_queries:
            raise _not_ready()
        return self._by_query

    def status(self) -> str:
        """Return ``ready``, ``cold`` (never worked yet) or ``open``."""
        if self._breaker.state is BreakerState.CLOSED:
            return "ready"
        return "open" if self.warm_ups else "cold"

    def _count_failure(self, error: AppError) -> None:
        if self._breaker.failed():
            log.warning("ranker_breaker_opened", code=error.code, reason=error.message)

    def _trial(self) -> None:
        is_ready = False
        try:
            self._form = self._warm_form()
            self.ranks_queries = self._warms_by_query()
            is_ready = True
        finally:
            # Also after an error that is none of ours: else the breaker stays half open.
            if is_ready:
                self._said = None
                self.warm_ups += 1
                self._breaker.succeeded(in_trial=True)
                log.info("ranker_ready")
            else:
                self._breaker.failed(in_trial=True)

    def _warm_form(self) -> Form:
        """Warm up and return the first form that the server can rank in."""
        *better, last = self._forms
        for form in better:
            try:
                form.warm_up()
            except FormUnsupportedError as exc:
                log.warning("ranker_falls_back_to_json", reason=exc.message)
            else:
                return form
        last.warm_up()
        return last

    def _warms_by_query(self) -> bool:
        if self._by_query is None:
            return False
        try:
            self._by_query.warm_up()
        except (DependencyUnavailableError, RankerError) as exc:
            log.warning("ranker_without_queries", reason=exc.message)
            return False
        return True

    def _quiet_trial(self) -> None:
        try:
            self._trial()
        except AppError as exc:
            # Trials come every few seconds; a server that lacks something lacks it each time.
            if self._said != exc.message:
                self._said = exc.message
                log.warning("ranker_not_ready", code=exc.code, reason=exc.message)


def _not_ready() -> DependencyUnavailableError:
    return DependencyUnavailableError("the LLM ranker is not ready")
