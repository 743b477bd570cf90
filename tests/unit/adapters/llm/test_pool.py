"""Several LLM servers as one ranker."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from app.adapters.llm.admission_queue import AdmissionQueue
from app.adapters.llm.circuit_breaker import CircuitBreaker
from app.adapters.llm.guarded_ranker import Background, GuardedRanker
from app.adapters.llm.pool import RankerPool
from app.domain.errors import DependencyUnavailableError, RankerError
from app.ports.ranker import LlmRanking, RankingTask
from tests.contract.ranker_suite import FakeRanker, RankerSuite, ranking_task

DOWN = DependencyUnavailableError("down")
SALTS = [f"{number:064x}" for number in range(40)]


class SlowRanker(FakeRanker):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = Event(), Event()

    def rank(self, task: RankingTask) -> LlmRanking:
        self.asked.set()
        self.go.wait(5)
        return super().rank(task)


def pool_of(
    *fakes: FakeRanker,
    running: int = 8,
    ping: Callable[[], object] = lambda: None,
    is_warm: bool = True,
    background: Background = lambda work: work(),
) -> RankerPool:
    guarded = [
        GuardedRanker(
            [fake],
            breaker=CircuitBreaker(failures=2, cool_down_s=0),
            background=background,
            ping=ping,
        )
        for fake in fakes
    ]
    pool = RankerPool(guarded, queue=AdmissionQueue(running=running, waiting=0))
    if is_warm:
        pool.warm_up()
    return pool


class TestPool(RankerSuite):
    @pytest.fixture
    def cold(self) -> RankerPool:
        return pool_of(FakeRanker(), FakeRanker(), is_warm=False, background=lambda _: None)


def test_a_call_sets_off_the_warm_up_of_every_server_and_is_refused() -> None:
    waiting: list[Callable[[], None]] = []
    pool = pool_of(FakeRanker(), FakeRanker(), is_warm=False, background=waiting.append)

    with pytest.raises(DependencyUnavailableError, match="not ready"):
        pool.rank(ranking_task())
    for work in waiting:
        work()

    assert pool.health().servers["closed"] == 2


def test_one_ready_server_is_enough() -> None:
    well, ill = FakeRanker(), FakeRanker(error=DOWN)
    pool = pool_of(ill, well)

    for salt in SALTS:
        pool.rank(ranking_task(cache_salt=salt))

    assert pool.health().status == "ready"
    assert len(well.tasks) == len(SALTS)
    assert pool.health().servers == {"closed": 1, "open": 1, "half_open": 0}


def test_no_ready_server_is_an_error_for_the_reason_of_the_first() -> None:
    with pytest.raises(DependencyUnavailableError, match="down"):
        pool_of(FakeRanker(error=DOWN), FakeRanker(error=DOWN))


def test_users_spread_and_each_keeps_to_one_server() -> None:
    fakes = FakeRanker(), FakeRanker()
    pool = pool_of(*fakes)

    for salt in SALTS * 2:
        pool.rank(ranking_task(cache_salt=salt))

    seen = [{task.cache_salt for task in fake.tasks} for fake in fakes]
    assert not seen[0] & seen[1]
    assert min(map(len, seen)) > len(SALTS) // 4


def test_the_least_busy_server_is_asked() -> None:
    slow, quick = SlowRanker(), FakeRanker()
    pool = pool_of(slow, quick)
    salt = next(salt for salt in SALTS if is_first(pool, slow, salt))
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(pool.rank, ranking_task(cache_salt=salt))
        slow.asked.wait(5)

        pool.rank(ranking_task(cache_salt=salt))

        assert len(quick.tasks) >= 1
        slow.go.set()
        held.result(timeout=5)


def is_first(pool: RankerPool, wanted: SlowRanker, salt: str) -> bool:
    """Whether this user's prompts go to ``wanted`` while all are idle."""
    wanted.go.set()
    wanted.asked.clear()
    pool.rank(ranking_task(cache_salt=salt))
    was_asked = wanted.asked.is_set()
    wanted.asked.clear()
    wanted.go.clear()
    return was_asked


def test_a_server_that_fails_costs_a_move_and_then_nothing() -> None:
    well, ill = FakeRanker(), FakeRanker()
    pool = pool_of(ill, well)
    ill.error = DOWN

    for salt in SALTS:
        assert pool.rank(ranking_task(cache_salt=salt)).completion_tokens == 1

    assert pool.calls.read()["moved"] == 2, "its breaker opens at the second failure"
    assert pool.calls.read()["ranked"] == len(SALTS)
    assert pool.health().servers["open"] == 1


def test_nonsense_is_not_asked_for_again() -> None:
    fakes = FakeRanker(), FakeRanker()
    pool = pool_of(*fakes)
    for fake in fakes:
        fake.error = RankerError("nonsense")

    with pytest.raises(RankerError):
        pool.rank(ranking_task())

    assert sum(len(fake.tasks) for fake in fakes) == 1
    assert pool.calls.read()["failed"] == 1


def test_nobody_is_asked_once_the_time_is_over() -> None:
    fake = FakeRanker()
    pool = pool_of(fake)

    with pytest.raises(DependencyUnavailableError):
        pool.rank(ranking_task(timeout_s=-1))

    assert fake.tasks == []


def test_a_slow_server_is_waited_for() -> None:
    slow, quick = SlowRanker(), FakeRanker()
    pool = pool_of(slow, quick)
    salt = next(salt for salt in SALTS if is_first(pool, slow, salt))
    n_before = len(quick.tasks)
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(pool.rank, ranking_task(cache_salt=salt))
        assert slow.asked.wait(5)
        slow.go.set()
        held.result(timeout=5)

    assert len(quick.tasks) == n_before


def test_a_dead_server_is_noticed_without_a_request_and_taken_back() -> None:
    fake = FakeRanker()
    pool = pool_of(fake, ping=fake.warm_up)
    fake.error = DOWN
    for _ in range(2):
        pool.check()
    assert pool.health().status == "open"

    fake.error = None
    pool.check()

    assert pool.health().status == "ready"


def test_a_busy_server_is_not_asked_whether_it_is_there() -> None:
    pings: list[int] = []
    slow = SlowRanker()
    pool = pool_of(slow, ping=lambda: pings.append(1))
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(pool.rank, ranking_task())
        slow.asked.wait(5)
        pool.check()
        assert pings == []
        slow.go.set()
        held.result(timeout=5)

    pool.check()

    assert pings == [1]


def test_tokens_are_counted() -> None:
    pool = pool_of(FakeRanker())

    ranking = pool.rank(ranking_task())

    assert pool.tokens.read() == {
        "prompt": ranking.prompt_tokens,
        "cached": 0,
        "completion": 1,
    }
