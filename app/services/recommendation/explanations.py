"""Reasons for recommended items: the LLM's, asked for apart, else what the catalogue says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.models import ItemId, Kind
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.prompt import ShownMemory
from app.domain.recommendation.reasons import CitedReason, reason_from_facts
from app.ports.explainer import Explainer, ExplainTask, Reason
from app.services.concurrency import ConcurrencyLimiter
from app.services.recommendation.answer import Recommendation, RecommendedItem
from app.services.recommendation.user_snapshot import UserSnapshot

_log = structlog.get_logger(__name__)
_MEMORIES: Final = 12
"""First ones of the memories shown that a reason may rest on."""


@dataclass(frozen=True, slots=True)
class ExplanationConfig:
    """How much is explained.

    Args:
        items: first ones of the list that get a reason at most.
        timeout_s: most seconds an answer waits for reasons.
        language: of reasons that rest on the catalogue alone: ``en`` or ``de``.
    """

    items: int
    timeout_s: float
    language: str


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
        """Take what it works with; without an ``explainer`` the catalogue alone explains."""
        self._explainer = explainer
        self._identity = identity
        self._limiter = limiter
        self._config = config

    def explained(self, known: UserSnapshot, made: Recommendation) -> Recommendation:
        """Return the same list with reasons for some of its first items.

        It counts as degraded where the LLM should have given reasons and could not.
        """
        shown = made.shown[:_MEMORIES]
        reasons: Mapping[ItemId, Reason] = {}
        try:
            if self._explainer is not None and known.subject is not None and shown and made.items:
                task = ExplainTask(
                    memories=shown,
                    items=[one.item for one in made.items[: self._config.items]],
                    cache_salt=self._identity.cache_salt(
                        known.subject.pseudonym, known.subject.epoch
                    ),
                    timeout_s=self._config.timeout_s,
                )
                with self._limiter.given_up():
                    reasons = self._explainer.explain(task)
        except (DependencyUnavailableError, RankerError) as error:
            _log.warning("reasons_left_out", code=error.code)
            made = replace(made, provenance=replace(made.provenance, is_degraded=True))
        kinds = {one.item_id: one.kind for one in known.newest}
        most = self._config.items
        items = [
            self._with_reason(one, reasons, shown=shown, kinds=kinds) for one in made.items[:most]
        ]
        return replace(made, items=[*items, *made.items[most:]])

    def _with_reason(
        self,
        one: RecommendedItem,
        reasons: Mapping[ItemId, Reason],
        *,
        shown: Sequence[ShownMemory],
        kinds: Mapping[ItemId | None, Kind],
    ) -> RecommendedItem:
        reason = reasons.get(one.item.item_id)
        if reason is not None:
            return replace(one, reason=CitedReason(reason.text, [shown[at] for at in reason.cites]))
        speaking = [
            ShownMemory(kinds[item.item_id], item) for item in one.because if item.item_id in kinds
        ]
        language = self._config.language
        return replace(one, reason=reason_from_facts(one.item, speaking, language=language))
