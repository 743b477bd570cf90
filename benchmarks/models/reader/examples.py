"""Ranking tasks as the numbers that the reader is trained and validated on."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final

import numpy as np
from transformers import PreTrainedTokenizerFast

from app.adapters.llm.prompts import load_template
from app.domain.models import Item
from app.domain.recommendation.prompt import LABELS, AnswerForm, ranking_prompt
from benchmarks.models.reader.catalogues import Catalogue, MadeUp, demo_catalogue
from benchmarks.models.reader.tasks import Task, make_task
from benchmarks.models.reader.words import Floats, Words

TOKENS_PER_STEP: Final = 5000
MOST_MEMORIES: Final = 36
MOST_CANDIDATES: Final = 50
TASKS_PER_CATALOGUE: Final = 24
P_DEMO: Final = 0.15
N_VALIDATION: Final = 40


@dataclass(frozen=True, slots=True)
class Example:
    """A task as numbers.

    Args:
        ids: the prompt's tokens.
        target: over all labels, shape (52,); zero for labels not shown.
        suits: of each label, shape (52,); NaN for labels not shown.
        cosine: of the embedder, in the same form; the baseline.
    """

    ids: list[int]
    target: Floats
    suits: Floats
    cosine: Floats


class Examples:
    """Writes tasks as the service would write its prompts."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, words: Words) -> None:
        self._tokenizer, self._words = tokenizer, words
        self.template = load_template("en")

    def example(self, task: Task, rng: random.Random, *, has_baseline: bool = False) -> Example:
        """Return the example; small tasks use any labels, in order, so that all are learned."""
        chosen = sorted(rng.sample(range(len(LABELS)), len(task.candidates)))
        labels = LABELS if has_baseline else [LABELS[one] for one in chosen]
        prompt = ranking_prompt(
            task.memories,
            candidates=task.candidates,
            template=self.template,
            seed=task.seed,
            form=AnswerForm.LABEL,
            labels=labels,
        )
        messages = [{"role": one.role, "content": one.content} for one in prompt.messages]
        text = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        places = {item.item_id: place for place, item in enumerate(task.candidates)}
        target = np.zeros(len(LABELS), dtype=np.float32)
        suits = np.full(len(LABELS), np.nan, dtype=np.float32)
        cosine = suits.copy()
        nearness = self._nearness(task) if has_baseline else task.suits
        for label, item_id in prompt.items.items():
            row = LABELS.index(label)
            target[row] = task.target[places[item_id]]
            suits[row] = task.suits[places[item_id]]
            cosine[row] = nearness[places[item_id]]
        ids = self._tokenizer(str(text), add_special_tokens=False)["input_ids"]
        return Example(ids, target, suits, cosine)

    def _nearness(self, task: Task) -> Floats:
        """Return the cosine of each candidate to the mean of the memories, weighted by strength."""
        memories = [one for one in task.memories if one.item is not None]
        texts = [_described(one.item) for one in memories]
        strengths = np.array([one.strength for one in memories], dtype=np.float32)
        profile = (self._words.embed(texts) * strengths[:, None]).sum(axis=0)
        return self._words.embed([_described(one) for one in task.candidates]) @ profile


def _described(item: Item) -> str:
    facts: list[str] = []
    for value in item.attributes.values():
        facts += [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return ". ".join(part for part in (item.title, item.description, ", ".join(facts)) if part)


class Source:
    """An endless stream of examples over fresh catalogues."""

    def __init__(self, examples: Examples, words: Words, *, seed: int) -> None:
        self._examples = examples
        self._made_up = MadeUp(words, is_held_out=False)
        self._demo = demo_catalogue(words)
        self._rng = random.Random(seed)  # noqa: S311 - made-up tasks, no secret
        self._catalogue: Catalogue | None = None
        self._left = 0

    def batch(self, *, progress: float) -> list[Example]:
        """Return tasks of one size, about ``TOKENS_PER_STEP`` tokens together.

        Args:
            progress: of the training, in [0, 1]; sizes grow until it is a half.
        """
        rng = self._rng
        grown = min(1.0, 0.15 + 1.7 * progress)
        n_candidates = _log_uniform(rng, least=4, most=4 + (MOST_CANDIDATES - 4) * grown)
        n_memories = _log_uniform(rng, least=2, most=2 + (MOST_MEMORIES - 2) * grown)
        batch: list[Example] = []
        n_tokens = 0
        while n_tokens < TOKENS_PER_STEP:
            task = make_task(
                rng, self._next_catalogue(), n_memories=n_memories, n_candidates=n_candidates
            )
            batch.append(self._examples.example(task, rng))
            n_tokens += len(batch[-1].ids)
        return batch

    def _next_catalogue(self) -> Catalogue:
        if self._rng.random() < P_DEMO:
            return self._demo
        if self._left == 0 or self._catalogue is None:
            self._catalogue = self._made_up.catalogue(self._rng, size=self._rng.randint(80, 300))
            self._left = TASKS_PER_CATALOGUE
        self._left -= 1
        return self._catalogue


def _log_uniform(rng: random.Random, *, least: float, most: float) -> int:
    return round(math.exp(rng.uniform(math.log(least), math.log(most))))


def validation(examples: Examples, words: Words, *, seed: int) -> dict[str, list[Example]]:
    """Return full-size examples over catalogues of topics never trained on, and over the books."""
    rng = random.Random(f"validation {seed}")  # noqa: S311 - made-up tasks, no secret
    made_up = MadeUp(words, is_held_out=True)
    books = demo_catalogue(words)
    kinds = {
        "made_up": lambda: made_up.catalogue(rng, size=200),
        "books": lambda: books,
    }
    return {
        name: [
            examples.example(
                make_task(rng, catalogue(), n_memories=24, n_candidates=MOST_CANDIDATES),
                rng,
                has_baseline=True,
            )
            for _ in range(N_VALIDATION)
        ]
        for name, catalogue in kinds.items()
    }
