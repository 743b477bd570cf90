"""How prompts are worded and how large they may be, in tokens of the model that is served."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from itertools import accumulate
from math import ceil, inf
from threading import Lock
from time import monotonic
from typing import Final, Literal

from app.domain.errors import DependencyUnavailableError
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import (
    DEFAULT_LIMITS,
    AnswerForm,
    PromptLimits,
    RankingPrompt,
    ShownMemory,
    candidate_line,
    memory_line,
    ranking_prompt,
)
from app.domain.recommendation.prompt_template import PromptTemplate, template_of
from app.ports.ranker import RankingTask

PromptLanguage = Literal["en", "de"]

_FIRST_GUESS: Final = 1 / 3
"""Tokens a byte, until something was measured: more than a tokenizer takes for its language."""
_LEARNING: Final = 1 / 8
_LINE_TOKENS: Final = 2
"""The dash before a line and the break behind it."""
_SHARE: Final = 0.8
"""Of the time that there is; the rest is for what a call takes more than the last ones."""
_PACE_LEARNING: Final = 1 / 4
_GIVEN_UP: Final = 1.5
_MEMORY_SHARE: Final = 1 / 3
"""Of what can be read in time; the rest is for the candidates and our own words."""
_LEAST_MEMORY_TOKENS: Final = 50


@cache
def load_template(language: PromptLanguage) -> PromptTemplate:
    """Return the template of that language, from ``app/data/prompts``."""
    source = (files("app.data") / "prompts" / f"{language}.toml").read_bytes()
    return template_of(tomllib.loads(source.decode()), source=source)


class TokenRate:
    """Tokens that the served model reads for a byte of UTF-8, learned from what it says it read.

    A byte and not a character: most vocabularies are of bytes, and a character that has two of
    them costs about twice. Asking the server to count each text would be exact and cost a round
    trip for each answer; a rate costs nothing, and is right where it matters, in the sum. Safe
    for threads.
    """

    def __init__(self) -> None:
        """Start with a guess on the high side."""
        self._lock = Lock()
        self._per_byte = _FIRST_GUESS
        self._is_measured = False

    def learn(self, texts: Sequence[str], *, n_tokens: int) -> None:
        """Take in that the model read ``texts`` as ``n_tokens``."""
        n_bytes = sum(len(text.encode()) for text in texts)
        if n_bytes == 0 or n_tokens <= 0:
            return
        with self._lock:
            found = n_tokens / n_bytes
            weight = _LEARNING if self._is_measured else 1.0
            self._per_byte += weight * (found - self._per_byte)
            self._is_measured = True

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Learn nothing until the block ends: the words of a probe are shorter than anybody's."""
        with self._lock:
            before = self._per_byte, self._is_measured
        try:
            yield
        finally:
            with self._lock:
                self._per_byte, self._is_measured = before

    def tokens(self, text: str) -> int:
        """Return about how many tokens ``text`` takes, rounded up."""
        return ceil(len(text.encode()) * self._per_byte)


class Pace:
    """Seconds that a server takes for a unit of work, learned from what its calls took.

    A unit is a token read, or whatever else a form's time grows with. Safe for threads.

    Args:
        now: a clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.now = now
        self._lock = Lock()
        self._unit_s = 0.0

    @contextmanager
    def waiting(self, n_units: float) -> Iterator[float]:
        """Give the time at which a call begins.

        One that is given up would have taken longer, nobody knows how much: half as long again is
        taken for it, so that a few do not open the breaker of a server that was asked too much.
        """
        since_s = self.now()
        try:
            yield since_s
        except DependencyUnavailableError:
            found = (self.now() - since_s) / max(n_units, 1)
            with self._lock:
                if self._unit_s < found:
                    self._unit_s = _GIVEN_UP * found
            raise

    def learn(self, n_units: float, *, since_s: float) -> None:
        """Take in that so many units took until now."""
        if n_units <= 0:
            return
        found = (self.now() - since_s) / n_units
        with self._lock:
            self._unit_s += (_PACE_LEARNING if self._unit_s else 1.0) * (found - self._unit_s)

    def start_over(self) -> None:
        """Forget what was learned, as when a first call has paid one-off costs."""
        with self._lock:
            self._unit_s = 0.0

    def units_in(self, seconds: float) -> float:
        """Return how many units can be done in the time; any number until something was learned."""
        return _SHARE * seconds / self._unit_s if self._unit_s > 0 else inf


def n_affordable(costs: Iterable[float], *, budget: float) -> int:
    """Return how many of the first ones a budget pays, at least two: one is no choice."""
    return max(2, sum(one <= budget for one in accumulate(costs)))


@dataclass(frozen=True, slots=True)
class Prompting:
    """What all rankers of one model share.

    Args:
        template: the wording.
        memory_tokens: most tokens of memories in a prompt.
        label_batch: candidates shown at once at most, 2 to 52.
        limits: how much of each text is shown.
        rate: what a text costs.
        pace: what reading a token of a prompt with memories takes.
    """

    template: PromptTemplate
    memory_tokens: int
    label_batch: int
    limits: PromptLimits = DEFAULT_LIMITS
    rate: TokenRate = field(default_factory=TokenRate)
    pace: Pace = field(default_factory=Pace)

    def memory_budget(self, *, timeout_s: float) -> int:
        """Return how many tokens of memories there is time for, at most ``memory_tokens``.

        By halves, so that it seldom changes: another choice of memories is another prompt, of
        which the server has nothing in its prefix cache.
        """
        most = _MEMORY_SHARE * self.pace.units_in(timeout_s)
        budget = self.memory_tokens
        while budget > max(most, _LEAST_MEMORY_TOKENS):
            budget = max(budget // 2, _LEAST_MEMORY_TOKENS)
        return budget

    def in_time(self, task: RankingTask) -> tuple[list[Item], PromptLimits]:
        """Return the candidates that there is time to read, and how much of each.

        All in full if that can be read in time; else their bare titles, and the first ones.
        """
        limits, candidates = self.limits, list(task.candidates)
        budget = self.pace.units_in(task.timeout_s)
        words = (self.template.system, self.template.ask_label)
        n_batches = -(-len(candidates) // self.label_batch)
        budget -= n_batches * (sum(map(self.rate.tokens, words)) + sum(self.costs(task.memories)))
        costs = self._candidate_costs(candidates, limits)
        if sum(costs) > budget:
            limits = replace(limits, details_chars=0)
            costs = self._candidate_costs(candidates, limits)
        return candidates[: n_affordable(costs, budget=budget)], limits

    def _candidate_costs(self, candidates: Sequence[Item], limits: PromptLimits) -> list[int]:
        return [
            _LINE_TOKENS
            + self.rate.tokens(candidate_line(one, template=self.template, limits=limits))
            for one in candidates
        ]

    def costs(self, memories: Sequence[ShownMemory]) -> list[int]:
        """Return about how many tokens each memory's line takes."""
        return [
            _LINE_TOKENS
            + self.rate.tokens(memory_line(memory, template=self.template, limits=self.limits))
            for memory in memories
        ]

    def largest_memories(self) -> list[ShownMemory]:
        """Return as many memories of the largest size as the budget holds."""
        memory = ShownMemory(Kind.NOTE, text="word " * self.limits.memory_chars)
        [cost] = self.costs([memory])
        return [memory] * min(max(1, self.memory_tokens // cost), self.limits.memories)

    def largest_item(self, number: int) -> Item:
        """Return an item that fills its line."""
        return Item(
            item_id=ItemId(f"probe-{number}"),
            title="word " * self.limits.title_chars,
            description="word " * self.limits.details_chars,
        )

    def ranking(
        self,
        task: RankingTask,
        batch: Sequence[Item],
        *,
        form: AnswerForm,
        labels: Sequence[str],
        limits: PromptLimits | None = None,
    ) -> RankingPrompt:
        """Return the prompt that asks for an order of ``batch``, some of the task's candidates."""
        return ranking_prompt(
            task.memories,
            candidates=batch,
            template=self.template,
            seed=task.seed,
            form=form,
            labels=labels,
            limits=limits or self.limits,
        )

    def size(self, prompt: RankingPrompt) -> int:
        """Return about how many tokens ``prompt`` takes."""
        return sum(self.rate.tokens(message.content) for message in prompt.messages)

    def learn(self, prompt: RankingPrompt, *, n_tokens: int) -> None:
        """Take in how many tokens the server read for ``prompt``."""
        self.rate.learn([message.content for message in prompt.messages], n_tokens=n_tokens)
