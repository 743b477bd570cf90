"""Which parts of an answer stood still."""

from __future__ import annotations

from app.services.recommendation.answer import Recommendation
from app.services.recommendation.reranking import Provenance, RankedBy, Regime


def _answer(**timings_ms: float) -> Recommendation:
    return Recommendation(
        items=[],
        provenance=Provenance(RankedBy.LLM, Regime.HISTORY),
        is_personalised=True,
        matched=0,
        timings_ms=timings_ms,
    )


def test_a_part_that_takes_longer_than_a_quarter_of_a_second_is_a_stall() -> None:
    assert _answer(memory=251, candidates=249, total=500).stalled() == ["memory"]


def test_what_belongs_to_no_part_is_waiting() -> None:
    assert _answer(memory=200, total=500).stalled() == ["waiting"]


def test_a_slow_model_is_no_stall() -> None:
    assert _answer(memory=10, ranking=900, reasons=900, total=1_810).stalled() == []
