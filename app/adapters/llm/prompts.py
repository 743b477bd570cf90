"""How prompts are worded and how large they may be, in tokens of the model that is served."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from itertools import accumulate
from math import inf
from typing import Final, Literal

from app.adapters.llm.rates import SHARE, Pace, TokenRate, n_affordable
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.label_batches import n_batches
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

PromptLanguage = Literal["en", "de"]

_LINE_TOKENS: Final = 2
"""The dash before a line and the break behind it."""
_MEMORY_SHARE: Final = 1 / 3
"""Of what can be read; the rest is for the candidates and our own words."""
_LEAST_MEMORY_TOKENS: Final = 50
_CHOICE: Final = 2
"""The fewest candidates that a model is asked about: one is no choice."""
_LEAST_CHARS: Final = 8
"""Of a title, however small the context is."""


@cache
def load_template(language: PromptLanguage) -> PromptTemplate:
    """Return the template of that language, from ``app/data/prompts``."""
    source = (files("app.data") / "prompts" / f"{language}.toml").read_bytes()
    return template_of(tomllib.loads(source.decode()), source=source)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a model is shown of a task.

    Args:
        memories: the newest ones, oldest first.
        candidates: the first ones, at least two where there are as many.
        limits: how much of each text.
        batch: so many candidates, whichever, fit one prompt beside the memories; at least 2.
    """

    memories: Sequence[ShownMemory]
    candidates: Sequence[Item]
    limits: PromptLimits
    batch: int


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
        contexts: tokens that a server reads at once, by server; none for those that do not tell.
    """

    template: PromptTemplate
    memory_tokens: int
    label_batch: int
    limits: PromptLimits = DEFAULT_LIMITS
    rate: TokenRate = field(default_factory=TokenRate)
    pace: Pace = field(default_factory=Pace)
    contexts: dict[object, int] = field(default_factory=dict)

    @property
    def room(self) -> float:
        """Tokens that a prompt may have, whichever server reads it; inf where none tells."""
        return SHARE * min([*self.contexts.values()], default=inf)

    def memory_budget(self, *, timeout_s: float) -> int:
        """Return for how many tokens of memories there is time and room, to ``memory_tokens``.

        By halves, so that it seldom changes: another choice of memories is another prompt, of
        which the server has nothing in its prefix cache.
        """
        most = _MEMORY_SHARE * min(self.pace.units_in(timeout_s), self.room)
        budget = self.memory_tokens
        while budget > max(most, _LEAST_MEMORY_TOKENS):
            budget = max(budget // 2, _LEAST_MEMORY_TOKENS)
        return budget

    def shown(
        self,
        memories: Sequence[ShownMemory],
        candidates: Sequence[Item],
        *,
        ask: str,
        budget: float = inf,
        each: int = 0,
    ) -> Shown:
        """Return what there is time to read, in prompts that the server's context holds.

        All candidates in full if there is; else their bare titles, fewer at once, and the first
        ones; where not even two fit, less of each text. Memories take a third at most.

        Args:
            memories: oldest first.
            candidates: best first.
            ask: our own words.
            budget: tokens that can be read in time, in all prompts together.
            each: tokens of the context that the answer takes for a candidate.
        """
        words = sum(map(self.rate.tokens, (self.template.system, ask)))
        limits = self.limits
        while True:
            of_memories = self.costs(memories, limits)
            n_kept = n_affordable(reversed(of_memories), budget=_MEMORY_SHARE * self.room, least=1)
            begin = words + sum(of_memories[-n_kept:])
            costs = [each + self._candidate_cost(one, limits) for one in candidates]
            largest = accumulate(sorted(costs, reverse=True))
            n_fit = sum(one <= self.room - begin for one in largest)
            size = max(_CHOICE, min(n_fit, self.label_batch))
            n_read = _n_read(costs, begin=begin, size=size, budget=budget)
            is_all = n_read == len(costs) and n_fit >= min(n_read, self.label_batch)
            fits = n_fit >= _CHOICE or limits.title_chars <= _LEAST_CHARS
            if is_all or (fits and not limits.details_chars):
                return Shown(memories[-n_kept:], candidates[:n_read], limits, batch=size)
            limits = _shorter(limits)

    def line(self, told: Callable[..., str], item: Item, *, budget: float) -> str:
        """Return what ``told`` says of an item: all of it, or as much as the budget pays."""
        limits = self.limits
        while True:
            text = told(item, template=self.template, limits=limits)
            if self.rate.tokens(text) <= budget or limits.title_chars <= _LEAST_CHARS:
                return text
            limits = _shorter(limits)

    def costs(
        self, memories: Sequence[ShownMemory], limits: PromptLimits | None = None
    ) -> list[int]:
        """Return about how many tokens each memory's line takes."""
        limits = limits or self.limits
        return [
            _LINE_TOKENS
            + self.rate.tokens(memory_line(memory, template=self.template, limits=limits))
            for memory in memories
        ]

    def _candidate_cost(self, item: Item, limits: PromptLimits) -> int:
        line = candidate_line(item, template=self.template, limits=limits)
        return _LINE_TOKENS + self.rate.tokens(line)

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
        shown: Shown,
        batch: Sequence[Item],
        *,
        seed: int,
        form: AnswerForm,
        labels: Sequence[str],
    ) -> RankingPrompt:
        """Return the prompt that asks for an order of ``batch``, some of the candidates shown."""
        return ranking_prompt(
            shown.memories,
            candidates=batch,
            template=self.template,
            seed=seed,
            form=form,
            labels=labels,
            limits=shown.limits,
        )

    def size(self, prompt: RankingPrompt) -> int:
        """Return about how many tokens ``prompt`` takes."""
        return sum(map(self.rate.tokens, prompt.texts))

    def learn(self, prompts: Iterable[RankingPrompt], *, n_tokens: int) -> None:
        """Take in how many tokens the server read for ``prompts`` together."""
        self.rate.learn([text for one in prompts for text in one.texts], n_tokens=n_tokens)


def _n_read(costs: Sequence[int], *, begin: int, size: int, budget: float) -> int:
    """Return how many of the first candidates can be read in time, two at least; all of fewer."""
    read = list(accumulate(costs))
    return next(
        n
        for n in range(len(costs), 0, -1)
        if n <= _CHOICE or n_batches(n, size=size) * begin + read[n - 1] <= budget
    )


def _shorter(limits: PromptLimits) -> PromptLimits:
    """Return limits without details, or where there are none any more, half of each text."""
    if limits.details_chars:
        return replace(limits, details_chars=0)
    return replace(
        limits,
        memory_chars=limits.memory_chars // 2,
        title_chars=limits.title_chars // 2,
        facts_chars=limits.facts_chars // 2,
    )
