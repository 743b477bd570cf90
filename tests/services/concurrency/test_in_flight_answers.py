from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from app.domain.models import Pseudonym
from app.services.concurrency import InFlightAnswers

ANNA, BERT = Pseudonym("a" * 64), Pseudonym("b" * 64)


def test_nobody_waits_when_nothing_is_on_its_way() -> None:
    in_flight = InFlightAnswers()

    with in_flight.leaving(BERT):
        assert in_flight.wait(ANNA, patience_s=0.0)


def test_a_wait_ends_when_what_was_there_has_left() -> None:
    in_flight = InFlightAnswers()

    with ThreadPoolExecutor(1) as pool:
        with in_flight.leaving(ANNA):
            waiting = pool.submit(in_flight.wait, ANNA, patience_s=30.0)
            assert not waiting.done()
        assert waiting.result(timeout=10)


def test_a_wait_gives_up_on_a_caller_who_does_not_read() -> None:
    in_flight = InFlightAnswers()

    with in_flight.leaving(ANNA):
        assert not in_flight.wait(ANNA, patience_s=0.01)
