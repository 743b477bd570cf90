"""Reasons for recommended items: asked for apart, and left out where they cannot be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.models import ItemId, Subject
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.prompt import ShownMemory
from app.domain.recommendation.reasons import CitedReason
from app.ports.explainer import Explainer, ExplainTask, Reason
from app.services.concurrency import ConcurrencyLimiter
from app.services.recommendation.answer import Recommendation, RecommendedItem

_log = structlog.get_logger(__name__)
_MEMORIES: Final = 12
"""First ones of the memories shown that a reason may rest on."""


@dataclass(frozen=True, slots=True)
class ExplanationConfig:
    """How much is explained.

    Args:
        items: first ones of the list that get a reason at most.
        timeout_s: most seconds an answer waits for reasons.
    """

    items: int
    timeout_s: float


class ExplanationService:
    """Gives reasons. An LLM that cannot give any never fails an answer."""

    def __init__(
        self,
        *,
        explainer: Explainer | None,
        identity: Identity,
        limiter: ConcurrencyLimiter,
        config: ExplanationConfig,
    ) -> None:
        """Take what it works with; without an ``explainer`` nothing is explained."""
        self._explainer = explainer
        self._identity = identity
        self._limiter = limiter
        self._config = config

    def explained(self, subject: Subject, made: Recommendation) -> Recommendation:
        """Return the same list with reasons for some of its first items.

        It counts as degraded where the LLM should have given reasons and could not.
        """
        if self._explainer is None or not made.shown or not made.items:
            return made
        shown = made.shown[:_MEMORIES]
        task = ExplainTask(
            memories=shown,
            items=[one.item for one in made.items[: self._config.items]],
            cache_salt=self._identity.cache_salt(subject.pseudonym, subject.epoch),
            timeout_s=self._config.timeout_s,
        )
        try:
            with self._limiter.given_up():
                reasons = self._explainer.explain(task)
        except (DependencyUnavailableError, RankerError) as error:
            _log.warning("reasons_left_out", code=error.code)
            return replace(made, provenance=replace(made.provenance, is_degraded=True))
        return replace(made, items=[_with_reason(one, reasons, shown=shown) for one in made.items])


def _with_reason(
    one: RecommendedItem, reasons: Mapping[ItemId, Reason], *, shown: Sequence[ShownMemory]
) -> RecommendedItem:
    reason = reasons.get(one.item.item_id)
    if reason is None:
        return one
    return replace(one, reason=CitedReason(reason.text, [shown[at] for at in reason.cites]))
