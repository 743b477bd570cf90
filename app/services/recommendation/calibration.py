"""Whether a model's order helps here: what users did last is held out, and lists are to have it.

For a process of its own, never one that serves. A user is read, judged and let go again before the
next one; of each only how good their list is stays, as numbers, until the command ends.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.models import ItemId, Subject
from app.domain.recommendation.calibration import WEIGHTS, finding, ndcg
from app.domain.recommendation.finding import Finding, Situation
from app.domain.recommendation.fusion import blend
from app.ports.ranker import Ranker, RankingForm, RankingTask
from app.services.recommendation.held_out import CalibrationParts, Case, HeldOut
from app.services.recommendation.reading_check import Reading

_TRIES: Final = 3
"""Times that a list is asked for."""


@dataclass(slots=True)
class _Tally:
    """What came of a form in a situation: figures by list, and lists that had no answer at once."""

    form: RankingForm | None = None
    judged: list[list[float]] = field(default_factory=list)
    failed: int = 0
    late: int = 0


class Calibration:
    """Judges the forms of a model by what users really did."""

    def __init__(self, parts: CalibrationParts) -> None:
        """Take what lists are made of."""
        self._parts = parts
        self._cases = HeldOut(parts)

    @property
    def reading(self) -> Reading:
        """What is known of whether the model reads; if it does not, it is asked for no labels."""
        return self._parts.reading.reading

    def measure(
        self,
        *,
        people: int,
        seed: int,
        queries: Sequence[tuple[str, frozenset[ItemId]]] = (),
        tell: Callable[[Situation, int], object] = lambda *_: None,
        recover: Callable[[], object] = lambda: None,
    ) -> list[Finding]:
        """Return what each form is worth in each situation.

        Args:
            people: users whose last likes are held out, at most.
            seed: which users, which items count as new, and the intervals.
            queries: words, and the items that are meant; beside what users said of items.
            tell: called with each list that was judged, by situation, and how many there were.
            recover: called after a call without an answer; returns once there is hope again.

        Raises:
            DependencyUnavailableError: there is no model, or it is not ready.
        """
        reading = self._parts.reading
        reading.refresh()
        ranker = reading.ranker
        if ranker is None or ranker.health().status != "ready":
            message = "no language model is ready: set LETHE_LLM__BASE_URL and LETHE_LLM__MODEL"
            raise DependencyUnavailableError(message)
        forms: list[RankingForm | None] = [RankingForm.LIKELIHOOD]
        if self._parts.has_labels and reading.is_passed:
            forms.insert(0, None)
        asked = dict.fromkeys(Situation, forms) | {Situation.QUERY: [RankingForm.LIKELIHOOD]}
        tallies = {(one, form): _Tally() for one, several in asked.items() for form in several}
        counts = dict.fromkeys(Situation, 0)
        for situation, case in self._cases.all(people, seed=seed, queries=queries):
            for form in asked[situation]:
                self._judge(ranker, case, form, tallies[situation, form], recover=recover)
            counts[situation] += 1
            tell(situation, counts[situation])
        return [
            replace(
                finding(situation, one.form, np.array(one.judged), seed=seed),
                failed=one.failed,
                late=one.late,
            )
            for (situation, _), one in tallies.items()
        ]

    def _judge(
        self,
        ranker: Ranker,
        case: Case,
        form: RankingForm | None,
        tally: _Tally,
        *,
        recover: Callable[[], object],
    ) -> None:
        """Add NDCG@10 of a list without the model and at each weight.

        A list without an answer is asked for again: left out, those of which there is most to
        read would be missing. A call that was too long has taught the ranker to show less.
        """
        request = case.request
        task = RankingTask(
            memories=request.memories,
            candidates=request.candidates,
            cache_salt=secrets.token_hex(32),  # whatever a server keeps, nobody finds
            seed=0,
            timeout_s=self._parts.timeout_s,
            query=request.query,
            form=form,
        )
        for is_first in (True, *[False] * (_TRIES - 1)):
            try:
                ranking = ranker.rank(task)
            except (DependencyUnavailableError, RankerError):
                recover()
                if self._is_forgotten(case.owner):
                    return
            else:
                tally.late += not is_first
                break
        else:
            tally.failed += 1
            return
        fused = [one.item_id for one in request.candidates]
        orders = [
            [one.item_id for one in blend(fused, ranking.log_probabilities, weight=weight)]
            for weight in (0.0, *WEIGHTS)
        ]
        tally.form = ranking.form
        tally.judged.append([ndcg(order, case.wanted) for order in orders])

    def _is_forgotten(self, owner: Subject | None) -> bool:
        """Return whether something of a user was erased since they were read."""
        if owner is None:
            return False
        with self._parts.uows.read() as uow:
            now = uow.subjects.get(owner.pseudonym)
        return now is None or now.epoch != owner.epoch
