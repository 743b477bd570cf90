"""Several servers of one model as one ranker: least busy first, the next one where it fails."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from time import monotonic

from app.adapters.llm.admission_queue import AdmissionQueue
from app.adapters.llm.circuit_breaker import BreakerState
from app.adapters.llm.guarded_ranker import GuardedRanker
from app.domain.errors import AppError, DependencyUnavailableError, RankerError
from app.domain.tally import Tally
from app.ports.ranker import LlmRanking, RankerHealth, RankingTask


class RankerPool:
    """Ranks with whichever server is ready and has least to do.

    Args:
        replicas: the servers, at least one.
        queue: how many rankings are under way and in line at most.
        close: releases what the replicas share.
    """

    def __init__(
        self,
        replicas: Sequence[GuardedRanker],
        *,
        queue: AdmissionQueue,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._replicas = replicas
        self._close = close
        self._lock = Lock()
        self._busy = Counter(dict.fromkeys(range(len(replicas)), 0))
        self.queue = queue
        self.tokens = Tally("prompt", "cached", "completion")
        self.calls = Tally("ranked", "failed", "moved")

    def warm_up(self) -> None:
        """Warm every server up; enough that one is ready.

        Raises:
            DependencyUnavailableError: none is, for the reason of the first.
            RankerError: likewise.
        """
        errors: list[AppError] = []
        with ThreadPoolExecutor(len(self._replicas), thread_name_prefix="llm-warm-up") as threads:
            for warming in [threads.submit(one.warm_up) for one in self._replicas]:
                try:
                    warming.result()
                except AppError as error:
                    errors.append(error)
        if len(errors) == len(self._replicas):
            raise errors[0]

    def rank(self, task: RankingTask) -> LlmRanking:
        """Rank within ``task.timeout_s``, the wait for a turn included."""
        for one in self._replicas:
            if one.state is BreakerState.OPEN:
                one.wake()
        if not any(one.state is BreakerState.CLOSED for one in self._replicas):
            message = "the LLM ranker is not ready"
            raise DependencyUnavailableError(message)
        deadline = monotonic() + task.timeout_s
        with self.queue.admitted(timeout_s=task.timeout_s):
            try:
                ranking = self._in_turn(task, deadline=deadline)
            except (DependencyUnavailableError, RankerError):
                self.calls.add("failed")
                raise
        self.calls.add("ranked")
        self.tokens.add("prompt", ranking.prompt_tokens)
        self.tokens.add("cached", ranking.cached_tokens)
        self.tokens.add("completion", ranking.completion_tokens)
        return ranking

    def health(self) -> RankerHealth:
        """Return the best status that a server has, and the servers by their breaker's state."""
        found = {one.status() for one in self._replicas}
        states = Counter(one.state.value for one in self._replicas)
        return RankerHealth(
            status=next(status for status in ("ready", "open", "cold") if status in found),
            servers={state.value: states[state.value] for state in BreakerState},
            ranks_queries=any(
                one.ranks_queries and one.state is BreakerState.CLOSED for one in self._replicas
            ),
            warm_ups=sum(one.warm_ups for one in self._replicas),
        )

    def check(self) -> None:
        """Look after the servers without a request: take back what was down, miss what is gone.

        A server that is ready is asked only while nothing is under way: rankings tell of it
        anyway, and behind them a healthy server would seem slow.
        """
        with self._lock:
            is_idle = not any(self._busy.values())
        for one in self._replicas:
            if is_idle or one.state is not BreakerState.CLOSED:
                one.check()

    def close(self) -> None:
        """Release everything; calls under way end with an error."""
        self._close()

    def _in_turn(self, task: RankingTask, *, deadline: float) -> LlmRanking:
        """Ask the servers, least busy first, until one answers."""
        tried: set[int] = set()
        failure = DependencyUnavailableError("the LLM ranker is not ready")
        while (left_s := deadline - monotonic()) > 0:
            number = self._take(task.cache_salt, tried=tried)
            if number is None:
                break
            try:
                return self._replicas[number].rank(replace(task, timeout_s=left_s))
            except DependencyUnavailableError as error:
                failure = error
                self.calls.add("moved", int(bool(self._others(tried))))
            finally:
                self._give_back(number)
        raise failure

    @contextmanager
    def lent(self, salt: str) -> Iterator[int]:
        """Hold the least busy server, for something else than a ranking; gives its number.

        Raises:
            DependencyUnavailableError: no server is ready.
        """
        number = self._take(salt, tried=set())
        if number is None:
            message = "no LLM server is ready"
            raise DependencyUnavailableError(message)
        try:
            yield number
        finally:
            self._give_back(number)

    def _take(self, salt: str, *, tried: set[int]) -> int | None:
        """Choose a server and count it as busier; among equals always the same for one user.

        That one has the user's prompts in its prefix cache (rendezvous hashing).
        """
        with self._lock:
            ready = self._others(tried)
            if not ready:
                return None
            number = min(ready, key=lambda one: (self._busy[one], _place(salt, number=one)))
            tried.add(number)
            self._busy[number] += 1
            return number

    def _give_back(self, number: int) -> None:
        with self._lock:
            self._busy[number] -= 1

    def _others(self, tried: set[int]) -> list[int]:
        return [
            number
            for number, one in enumerate(self._replicas)
            if number not in tried and one.state is BreakerState.CLOSED
        ]


def _place(salt: str, *, number: int) -> bytes:
    return hashlib.sha256(f"{number}:{salt}".encode()).digest()
