from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.services.concurrency import EMBEDDED, ConcurrencyLimiter
from app.services.recommendation.query import RecommendQuery
from tests.world import StubRanker, World

N_THREADS = 12
WAIT_S = 10.0


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_than_so_many_compute_at_once(at_once: int) -> None:
    limiter, lock = ConcurrencyLimiter(at_once), threading.Lock()
    inside, most = 0, 0

    def compute() -> None:
        nonlocal inside, most
        with limiter.taken():
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.005)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(N_THREADS) as pool:
        for done in [pool.submit(compute) for _ in range(N_THREADS)]:
            done.result(timeout=WAIT_S)

    assert most == at_once


def test_who_came_first_is_next() -> None:
    limiter, order = ConcurrencyLimiter(1), []

    def compute(number: int) -> None:
        with limiter.taken():
            order.append(number)

    with ThreadPoolExecutor(N_THREADS) as pool, limiter.taken():
        for number in range(N_THREADS):
            pool.submit(compute, number)
            while limiter.n_waiting <= number:
                time.sleep(0.001)
    assert order == list(range(N_THREADS))


def test_a_turn_that_ends_in_an_error_is_free_again() -> None:
    limiter = ConcurrencyLimiter(1)

    with pytest.raises(ZeroDivisionError), limiter.taken(), limiter.given_up():
        _ = 1 / 0

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: _took(limiter)).result(timeout=WAIT_S)


def test_giving_up_what_one_does_not_have_makes_no_turn() -> None:
    limiter = ConcurrencyLimiter(1)

    with limiter.given_up():
        pass

    with limiter.taken(), ThreadPoolExecutor(1) as pool:
        other = pool.submit(_took, limiter)
        assert not _is_done_after(other.done, 0.05)
        with limiter.given_up():
            assert other.result(timeout=WAIT_S)


def test_who_waits_for_the_model_holds_nobody_up(llm_world: World, ranker: StubRanker) -> None:
    recommend = llm_world.container.recommend
    for name in ("slow", "quick"):
        llm_world.read(name, [f"sea-{number:02d}" for number in range(6)])
    n_turns = EMBEDDED
    answering, asked = threading.Event(), threading.Semaphore(0)

    def wait() -> None:
        asked.release()
        assert answering.wait(WAIT_S)

    ranker.before_answer += [wait] * n_turns
    with ThreadPoolExecutor(n_turns) as pool:
        slow = [
            pool.submit(recommend.recommend, RecommendQuery(llm_world.user("slow"), n=5 + at))
            for at in range(n_turns)
        ]
        assert all(asked.acquire(timeout=WAIT_S) for _ in range(n_turns))
        # Every turn's former owner waits for the model, and yet:
        assert recommend.recommend(RecommendQuery(llm_world.user("quick"))).is_personalised
        answering.set()
        assert all(one.result(timeout=WAIT_S).is_personalised for one in slow)


def _took(limiter: ConcurrencyLimiter) -> bool:
    with limiter.taken():
        return True


def _is_done_after(is_done: Callable[[], bool], seconds: float) -> bool:
    time.sleep(seconds)
    return is_done()
