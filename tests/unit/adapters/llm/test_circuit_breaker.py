from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from app.adapters.llm.circuit_breaker import BreakerState, CircuitBreaker
from app.adapters.llm.guarded_ranker import GuardedRanker
from app.domain.errors import AppError, DependencyUnavailableError, RankerError
from tests.contract.ranker_suite import FakeRanker, ranking_task

DOWN = DependencyUnavailableError("down")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Later:
    """Keeps what shall run in the background until the test runs it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def run(self) -> None:
        self.waiting.pop()()


class Guarded:
    def __init__(self) -> None:
        self.clock, self.later, self.fake = Clock(), Later(), FakeRanker()
        self.breaker = CircuitBreaker(failures=3, cool_down_s=10, now=self.clock)
        self.ranker = GuardedRanker([self.fake], breaker=self.breaker, background=self.later)

    def fail(self, times: int, *, error: AppError = DOWN) -> None:
        self.fake.error = error
        for _ in range(times):
            with pytest.raises(type(error)):
                self.ranker.rank(ranking_task())


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


def closed_breaker(clock: Clock, *, failures: int = 3) -> CircuitBreaker:
    breaker = CircuitBreaker(failures=failures, cool_down_s=10, now=clock)
    assert breaker.begin_trial()
    breaker.succeeded(in_trial=True)
    return breaker


def test_starts_open_with_one_trial_allowed_at_once() -> None:
    breaker = CircuitBreaker(failures=1, cool_down_s=10, now=Clock())

    states = [breaker.state]
    trials = [breaker.begin_trial(), breaker.begin_trial()]
    states.append(breaker.state)

    assert trials == [True, False]
    assert states == [BreakerState.OPEN, BreakerState.HALF_OPEN]


def test_opens_after_failures_in_a_row_alone() -> None:
    breaker = closed_breaker(Clock())

    opened = [breaker.failed(), breaker.failed()]
    breaker.succeeded()
    opened += [breaker.failed(), breaker.failed(), breaker.failed()]

    assert opened == [False, False, False, False, True]


def test_a_failed_trial_starts_the_cool_down_again() -> None:
    clock = Clock()
    breaker = closed_breaker(clock, failures=1)
    breaker.failed()
    clock.now_s += 10
    assert breaker.begin_trial()
    breaker.failed(in_trial=True)

    clock.now_s += 9.9
    assert not breaker.begin_trial()
    clock.now_s += 0.1
    assert breaker.begin_trial()


def test_stragglers_neither_close_it_nor_prolong_the_cool_down() -> None:
    clock = Clock()
    breaker = closed_breaker(clock, failures=1)
    breaker.failed()
    clock.now_s += 9
    breaker.succeeded()
    assert not breaker.failed()

    assert breaker.state is BreakerState.OPEN
    clock.now_s += 1
    assert breaker.begin_trial()


def test_a_cold_ranker_refuses_and_warms_up_in_the_background(guarded: Guarded) -> None:
    guarded.fail(2)
    guarded.fake.error = None

    assert guarded.fake.tasks == []
    assert len(guarded.later.waiting) == 1, "one trial, however many ask"
    guarded.later.run()
    assert guarded.ranker.status() == "ready"
    assert guarded.ranker.rank(ranking_task()).completion_tokens == 1


@pytest.mark.parametrize("error", [DOWN, RankerError("nonsense")])
def test_a_ranker_that_fails_is_not_asked_any_more(guarded: Guarded, error: AppError) -> None:
    guarded.ranker.warm_up()
    with capture_logs() as logged:
        guarded.fail(3, error=error)

    asked = len(guarded.fake.tasks)
    with pytest.raises(DependencyUnavailableError, match="not ready"):
        guarded.ranker.rank(ranking_task())

    assert (asked, len(guarded.fake.tasks)) == (3, 3)
    assert guarded.ranker.status() == "open"
    assert guarded.later.waiting == []
    assert [entry["event"] for entry in logged] == ["ranker_breaker_opened"]


def test_is_back_after_the_cool_down_at_no_request_s_cost(guarded: Guarded) -> None:
    guarded.ranker.warm_up()
    guarded.fail(3)
    guarded.clock.now_s += 10
    guarded.fake.error = None

    with pytest.raises(DependencyUnavailableError):
        guarded.ranker.rank(ranking_task())
    guarded.later.run()

    assert len(guarded.fake.tasks) == 3
    assert guarded.ranker.status() == "ready"


def test_a_failed_warm_up_in_the_background_is_tried_again_and_said_once(guarded: Guarded) -> None:
    with capture_logs() as logged:
        for _ in range(3):
            guarded.fail(1)
            assert len(guarded.later.waiting) == 1
            guarded.later.run()
            guarded.clock.now_s += 10

    assert [entry["event"] for entry in logged] == ["ranker_not_ready"]
    assert guarded.ranker.status() == "cold"


def test_another_reason_and_the_same_one_after_a_recovery_are_said(guarded: Guarded) -> None:
    def tried(error: Exception | None) -> None:
        guarded.fake.error = error
        guarded.ranker.wake()
        guarded.later.run()
        guarded.clock.now_s += 10

    with capture_logs() as logged:
        tried(DOWN)
        tried(RankerError("another model"))
        tried(None)
        guarded.fail(3)
        guarded.clock.now_s += 10
        tried(DOWN)

    told = [entry.get("reason") for entry in logged if entry["event"] == "ranker_not_ready"]
    assert told == ["down", "another model", "down"]


def test_a_bug_in_a_warm_up_is_raised_and_does_not_block_the_next(guarded: Guarded) -> None:
    guarded.fake.error = ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        guarded.ranker.warm_up()

    guarded.clock.now_s += 10
    guarded.fake.error = None
    guarded.ranker.warm_up()
    assert guarded.ranker.status() == "ready"


def test_an_explicit_warm_up_says_so_while_it_cools_down(guarded: Guarded) -> None:
    guarded.fake.error = DOWN
    with pytest.raises(DependencyUnavailableError, match="down"):
        guarded.ranker.warm_up()

    with pytest.raises(DependencyUnavailableError, match="not ready"):
        guarded.ranker.warm_up()


def test_a_thread_warms_up_when_nothing_else_is_given() -> None:
    fake = FakeRanker()
    ranker = GuardedRanker([fake], breaker=CircuitBreaker(failures=1, cool_down_s=0))
    ranker.warm_up()
    fake.error = DOWN
    with pytest.raises(DependencyUnavailableError):
        ranker.rank(ranking_task())
    fake.error = None

    for _ in range(10_000):
        try:
            assert ranker.rank(ranking_task()).completion_tokens == 1
        except DependencyUnavailableError:
            continue
        break
    else:
        pytest.fail("the background warm-up never closed the breaker")
