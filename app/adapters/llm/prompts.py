"""How prompts are worded and how large they may be, in tokens of the model that is served."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from math import ceil
from threading import Lock
from typing import Final, Literal

from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import (
    DEFAULT_LIMITS,
    AnswerForm,
    PromptLimits,
    RankingPrompt,
    ShownMemory,
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

    def tokens(self, text: str) -> int:
        """Return about how many tokens ``text`` takes, rounded up."""
        return ceil(len(text.encode()) * self._per_byte)


@dataclass(frozen=True, slots=True)
class Prompting:
    """What all rankers of one model share.

    Args:
        template: the wording.
        memory_tokens: most tokens of memories in a prompt.
        label_batch: candidates shown at once at most, 2 to 52.
        limits: how much of each text is shown.
        rate: what a text costs.
    """

    template: PromptTemplate
    memory_tokens: int
    label_batch: int
    limits: PromptLimits = DEFAULT_LIMITS
    rate: TokenRate = field(default_factory=TokenRate)

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
    ) -> RankingPrompt:
        """Return the prompt that asks for an order of ``batch``, some of the task's candidates."""
        return ranking_prompt(
            task.memories,
            candidates=batch,
            template=self.template,
            seed=task.seed,
            form=form,
            labels=labels,
            limits=self.limits,
        )

    def learn(self, prompt: RankingPrompt, *, n_tokens: int) -> None:
        """Take in how many tokens the server read for ``prompt``."""
        self.rate.learn([message.content for message in prompt.messages], n_tokens=n_tokens)
