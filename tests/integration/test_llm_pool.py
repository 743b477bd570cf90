"""Several servers and a full line, over a real vLLM: two proxies stand for two servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from app.adapters.llm.pool import RankerPool
from app.domain.errors import DependencyUnavailableError
from app.ports.ranker import LlmRanking
from app.settings_llm import LlmSettings
from tests.contract.ranker_connected import connect_ranker
from tests.contract.ranker_suite import ranking_task
from tests.servers.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.servers.vllm import VllmServer

SALTS = [f"{number:064x}" for number in range(8)]


@pytest.fixture
def proxies(llm_server: VllmServer) -> Iterator[tuple[FaultyProxy, FaultyProxy]]:
    with faulty_proxy(llm_server.base_url) as one, faulty_proxy(llm_server.base_url) as other:
        yield one, other


@contextmanager
def pool_over(
    *proxies: FaultyProxy, model: str, running: int = 16, waiting: int = 64
) -> Iterator[RankerPool]:
    settings = LlmSettings(
        base_url=",".join(proxy.url for proxy in proxies),
        model=model,
        mode="one_pass",
        window=8,
        max_running=running,
        max_waiting=waiting,
        cool_down_s=0.1,
    )
    with closing(connect_ranker(settings)) as pool:
        pool.warm_up()
        yield pool


def rank(pool: RankerPool, salt: str, *, timeout_s: float = 20) -> LlmRanking:
    return pool.rank(ranking_task(8, cache_salt=salt, timeout_s=timeout_s))


def test_one_server_that_fails_costs_no_ranking(
    proxies: tuple[FaultyProxy, FaultyProxy], llm_server: VllmServer
) -> None:
    ill, _ = proxies
    with pool_over(*proxies, model=llm_server.model) as pool:
        assert pool.health().servers["closed"] == 2
        ill.fault = Fault.BROKEN

        rankings = [rank(pool, salt) for salt in SALTS * 3]

        assert len(rankings) == 24
        assert pool.calls.read()["moved"] >= 3
        assert pool.calls.read()["failed"] == 0
        ill.fault = Fault.NONE
        until = time.monotonic() + 20
        while pool.health().servers["closed"] < 2 and time.monotonic() < until:
            pool.check()
            time.sleep(0.05)
        assert pool.health().servers["closed"] == 2


def test_a_crowd_waits_in_line_and_whoever_finds_it_full_is_sent_away(
    proxies: tuple[FaultyProxy, FaultyProxy], llm_server: VllmServer
) -> None:
    model = llm_server.model
    with pool_over(proxies[0], model=model, running=2, waiting=4) as pool:

        def come(number: int) -> bool:
            try:
                rank(pool, SALTS[number % len(SALTS)])
            except DependencyUnavailableError:
                return False
            return True

        with ThreadPoolExecutor(24) as crowd:
            came = list(crowd.map(come, range(24)))

        told = pool.queue.tally.read()
        assert told["admitted"] == sum(came) >= 6
        assert told["refused"] == 24 - sum(came) > 0
        assert pool.queue.read() == {"running": 0, "waiting": 0}
        assert rank(pool, SALTS[0]).completion_tokens == 1, "the line is open again"
