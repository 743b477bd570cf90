"""The ways to have a model rank, behind one call: one pass, and two kinds of JSON.

All ask the same server about the same made-up person and books of the demo set, under cache salts
of their own, so nothing is found in the prefix cache that a form did not put there itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.adapters.llm.client import CHAT, LlmServer
from app.adapters.llm.json_scores import JsonRanker, json_body
from app.adapters.llm.responses import at, parsed_object, tokens
from app.adapters.llm.single_pass import SinglePassRanker
from app.bootstrap.llm import prompting_of
from app.domain.errors import RankerError
from app.domain.models import ItemId, Kind
from app.domain.recommendation.prompt import (
    LABELS,
    AnswerForm,
    RankingPrompt,
    ShownMemory,
    ranking_prompt,
)
from app.ports.ranker import RankingTask
from app.settings_llm import LlmSettings
from benchmarks.demo.make import demo_books

N_MEMORIES: Final = 20
TIMEOUT_S: Final = 300.0
HALF_STEPS: Final = [step / 2 for step in range(1, 11)]


@dataclass(frozen=True, slots=True)
class Answered:
    """What one call gave.

    Args:
        scores: by item, larger is better; empty where only the price is of interest.
        prompt_tokens: read.
        completion_tokens: written.
    """

    scores: Mapping[ItemId, float]
    prompt_tokens: int
    completion_tokens: int


class Tasks:
    """Ranking tasks over the demo's books: a reader of one subject, any books to rank."""

    def __init__(self, *, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - made-up tasks, no secret
        self._books = demo_books()

    def task(self, *, n_candidates: int, n_memories: int = N_MEMORIES) -> RankingTask:
        """Return a task under a salt never used before."""
        chosen = self._rng.sample(self._books, n_candidates + n_memories)
        memories = [
            ShownMemory(Kind.RATING, item, value=4.0, strength=self._rng.choice((0.5, 1.0, 2.0)))
            for item in chosen[n_candidates:]
        ]
        return RankingTask(
            memories=memories,
            candidates=chosen[:n_candidates],
            cache_salt=self.salt(),
            seed=self._rng.getrandbits(32),
            timeout_s=TIMEOUT_S,
        )

    def salt(self) -> str:
        """Return a fresh cache salt."""
        return self._rng.randbytes(32).hex()

    def fresh(self, task: RankingTask) -> RankingTask:
        """Return the same task under a salt never used before."""
        return replace(task, cache_salt=self.salt())


class Forms:
    """Every way to ask, warm."""

    def __init__(self, server: LlmServer) -> None:
        self._server = server
        self._prompting = prompting_of(LlmSettings())
        self.one_pass = SinglePassRanker(server, prompting=self._prompting)
        self._by_json = JsonRanker(server, prompting=self._prompting)
        for ranker in (self.one_pass, self._by_json):
            ranker.warm_up()
        self.by_name: dict[str, Callable[[RankingTask], Answered]] = {
            "one_pass": self.in_one_pass,
            "json_labels": self.as_json,
            "json_item_ids": self.as_cragru,
        }

    @property
    def prompt_id(self) -> str:
        """The wording."""
        return self._prompting.template.template_id

    def in_one_pass(self, task: RankingTask) -> Answered:
        """Rank by the log-probabilities of one token."""
        found = self.one_pass.rank(task)
        return Answered(found.log_probabilities, found.prompt_tokens, found.completion_tokens)

    def as_json(self, task: RankingTask) -> Answered:
        """Rank by our fallback: a JSON object from label to a whole number."""
        found = self._by_json.rank(task)
        return Answered(found.log_probabilities, found.prompt_tokens, found.completion_tokens)

    def as_cragru(self, task: RankingTask) -> Answered:
        """Rank by a JSON object from item id to a rating, as CRAGRU asks; ids of four digits."""
        return self._rated(task, is_masked=True)

    def freely(self, task: RankingTask) -> Answered:
        """Ask the same, with nothing that holds the model to the schema.

        Raises:
            RankerError: the answer is no such object.
        """
        return self._rated(task, is_masked=False)

    def _rated(self, task: RankingTask, *, is_masked: bool) -> Answered:
        ids = [str(1000 + number) for number in range(len(task.candidates))]
        prompt = self._prompt(task, form=AnswerForm.SCORES, labels=ids)
        schema = {
            "type": "object",
            "properties": {item_id: {"enum": HALF_STEPS} for item_id in ids},
            "required": ids,
            "additionalProperties": False,
        }
        body = json_body(prompt, model=self._server.model) | {
            "max_tokens": 20 * len(ids),
            "cache_salt": task.cache_salt,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "ratings", "schema": schema},
            },
        }
        if not is_masked:
            del body["response_format"]
        answer = self._server.post(CHAT, body, timeout_s=TIMEOUT_S)
        rated = parsed_object(str(at(answer, "choices", 0, "message", "content")))
        try:
            scores = {prompt.items[item_id]: float(str(rated[item_id])) for item_id in ids}
        except (KeyError, ValueError) as exc:
            raise RankerError("an item is not rated") from exc
        return _answered(answer, scores)

    def _prompt(
        self,
        task: RankingTask,
        *,
        form: AnswerForm,
        labels: Sequence[str] = LABELS,
    ) -> RankingPrompt:
        return ranking_prompt(
            task.memories,
            candidates=task.candidates,
            template=self._prompting.template,
            seed=task.seed,
            form=form,
            labels=labels,
            limits=self._prompting.limits,
        )


def _answered(answer: Mapping[str, object], scores: Mapping[ItemId, float]) -> Answered:
    return Answered(scores, tokens(answer, "prompt_tokens"), tokens(answer, "completion_tokens"))
