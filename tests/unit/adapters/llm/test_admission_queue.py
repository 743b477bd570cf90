"""The queue before the LLM."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from app.adapters.llm.admission_queue import AdmissionQueue
from app.domain.errors import DependencyUnavailableError


class Line:
    """A queue for one, with somebody in it who leaves when told."""

    def __init__(self, *, waiting: int) -> None:
        self.queue = AdmissionQueue(running=1, waiting=waiting)
        self.inside, self.leave = Event(), Event()
        self.order: list[int] = []

    def hold(self) -> None:
        with self.queue.admitted(timeout_s=5):
            self.inside.set()
            self.leave.wait(5)

    def enter(self, number: int) -> None:
        with self.queue.admitted(timeout_s=5):
            self.order.append(number)

    def wait_for(self, n_waiting: int) -> None:
        until = time.monotonic() + 5
        while self.queue.read()["waiting"] < n_waiting and time.monotonic() < until:
            time.sleep(0.001)


def test_nobody_waits_while_there_is_room() -> None:
    queue = AdmissionQueue(running=2, waiting=0)

    with queue.admitted(timeout_s=1) as left_s, queue.admitted(timeout_s=1):
        assert 0.9 < left_s <= 1
        assert queue.read() == {"running": 2, "waiting": 0}

    assert queue.read() == {"running": 0, "waiting": 0}


def test_turns_are_taken_in_the_order_of_arrival() -> None:
    line = Line(waiting=3)
    with ThreadPoolExecutor(4) as threads:
        threads.submit(line.hold)
        line.inside.wait(5)
        for number in range(3):
            threads.submit(line.enter, number)
            line.wait_for(number + 1)
        line.leave.set()

    assert line.order == [0, 1, 2]
    assert line.queue.tally.read()["admitted"] == 4
    assert line.queue.tally.read()["waited_s"] > 0


def test_whoever_finds_the_line_full_is_refused_at_once() -> None:
    line = Line(waiting=0)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(line.hold)
        line.inside.wait(5)
        started = time.monotonic()

        with pytest.raises(DependencyUnavailableError, match="too many"):
            line.enter(1)

        assert time.monotonic() - started < 0.5
        line.leave.set()
    assert line.queue.tally.read()["refused"] == 1


def test_nobody_waits_past_the_deadline_and_the_line_goes_on() -> None:
    line = Line(waiting=2)
    with ThreadPoolExecutor(2) as threads:
        threads.submit(line.hold)
        line.inside.wait(5)
        with (
            pytest.raises(DependencyUnavailableError, match="before the deadline"),
            line.queue.admitted(timeout_s=0.02),
        ):
            pytest.fail("was admitted")
        patient = threads.submit(line.enter, 1)
        line.leave.set()
        patient.result(timeout=5)

    assert line.order == [1]


def test_a_turn_is_given_back_after_an_error() -> None:
    queue = AdmissionQueue(running=1, waiting=0)
    with pytest.raises(ZeroDivisionError), queue.admitted(timeout_s=1):
        raise ZeroDivisionError

    with queue.admitted(timeout_s=1):
        assert queue.read()["running"] == 1
