"""Ranking with vLLM in one forward pass: the log-probabilities of the labels are the ranking.

The answer is one token, masked by a grammar of the labels, so that the log-probabilities of
all labels come back from the prefill alone (after FIRST: Reddy et al., EMNLP 2024; see
docs/decisions/0012).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from time import monotonic
from typing import Final

from app.adapters.llm.client import CHAT, LlmRefusedError, LlmServer, chat_messages
from app.adapters.llm.prompts import Prompting
from app.adapters.llm.ranker import LlmRanker
from app.adapters.llm.responses import cached_tokens, label_log_probabilities, tokens
from app.adapters.llm.tokenizer import OnePassUnsupportedError, count_tokens
from app.domain.errors import RankerError
from app.domain.models import Item, ItemId
from app.domain.recommendation.prompt import (
    LABELS,
    AnswerForm,
    RankingPrompt,
    ranking_prompt,
)
from app.domain.recommendation.windows import linked, windows
from app.ports.ranker import LlmRanking, RankingTask

MIN_LABELS: Final = 10
"""With fewer one-token labels than this the model is of another kind than any we know."""
_Answer = Mapping[str, object]


class SinglePassRanker(LlmRanker):
    """Ranks up to 52 candidates for the price of one token, and more of them in windows.

    Args:
        server: a vLLM of 0.30 or later (CVE-2026-105756), ``--max-logprobs`` at least ``window``.
        prompting: wording and sizes.
        window: candidates shown in one pass at most, 2 to 52. More are ranked in several passes
            at once, which share some candidates so that their scores can be compared.
        permutations: 1, or 2 to average a second pass that shows the candidates in reverse,
            against the model's liking for a place.
        warm_up_timeout_s: total seconds for the checks; the server's first grammar takes up
            to half a minute.
    """

    def __init__(
        self,
        server: LlmServer,
        *,
        prompting: Prompting,
        window: int = len(LABELS),
        permutations: int = 1,
        warm_up_timeout_s: float = 120.0,
    ) -> None:
        if permutations not in {1, 2}:
            message = "permutations is 1 or 2"
            raise ValueError(message)
        super().__init__(server, prompting=prompting, warm_up_timeout_s=warm_up_timeout_s)
        self._window = window
        self._permutations = permutations
        self._labels: Sequence[str] = ()

    def warm_up(self) -> None:
        """Check model, labels and limits of the server, and have it compile the grammar.

        Raises:
            DependencyUnavailableError: the server does not answer.
            OnePassUnsupportedError: the server cannot rank this way.
            RankerError: it could, but serves another model or is set too tight.
        """
        deadline = monotonic() + self._warm_up_timeout_s
        self._server.describe_model(timeout_s=self._warm_up_timeout_s)
        words = self._prompting.template.system
        counts = count_tokens(self._server, [*LABELS, words], deadline=deadline)
        self._prompting.rate.learn([words], n_tokens=counts.pop())
        single = [label for label, count in zip(LABELS, counts, strict=True) if count == 1]
        labels = single[: self._window]
        if len(labels) < min(MIN_LABELS, self._window):
            message = f"only {len(labels)} labels are one token of this model"
            raise OnePassUnsupportedError(message)
        self._probe(labels, deadline=deadline)
        self._labels, self._is_warm = labels, True

    def _ask(self, task: RankingTask) -> LlmRanking:
        return self._rank(task, labels=self._labels)

    def _probe(self, labels: Sequence[str], *, deadline: float) -> None:
        """Rank the largest prompt there can be, so that no limit is met by a user first."""
        task = self._largest_task(len(labels), timeout_s=deadline - monotonic())
        try:
            self._rank(task, labels=labels)
        except LlmRefusedError as exc:
            message = (
                f"the LLM server refused a full prompt with status {exc.status}: it needs "
                f"--max-logprobs of at least {len(labels)} and a --max-model-len that holds it"
            )
            raise RankerError(message) from exc
        except RankerError as exc:
            message = f"the LLM server does not mask its answer: {exc.message}"
            raise OnePassUnsupportedError(message) from exc

    def _rank(self, task: RankingTask, *, labels: Sequence[str]) -> LlmRanking:
        """Make one call for a window and a permutation, all at once."""
        shown, anchors = windows(task.candidates, size=len(labels))
        prompts = [
            self._prompt(task, window, labels=labels, is_reversed=bool(number))
            for window in shown
            for number in range(self._permutations)
        ]
        bodies = [
            one_pass_body(prompt, model=self._server.model, cache_salt=task.cache_salt)
            for prompt in prompts
        ]
        answers = self._server.post_all(CHAT, bodies, timeout_s=task.timeout_s)
        views = [
            self._read(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)
        ]
        each = self._permutations
        pairs = [views[first : first + each] for first in range(0, len(views), each)]
        return LlmRanking(
            log_probabilities=linked([_mean(pair) for pair in pairs], anchors=anchors),
            prompt_tokens=sum(tokens(answer, "prompt_tokens") for answer in answers),
            completion_tokens=sum(tokens(answer, "completion_tokens") for answer in answers),
            prompt_id=self._prompting.template.template_id,
            cached_tokens=sum(map(cached_tokens, answers)),
        )

    def _prompt(
        self, task: RankingTask, window: Sequence[Item], *, labels: Sequence[str], is_reversed: bool
    ) -> RankingPrompt:
        return ranking_prompt(
            task.memories,
            candidates=window,
            template=self._prompting.template,
            seed=task.seed,
            form=AnswerForm.LABEL,
            labels=labels,
            is_reversed=is_reversed,
            limits=self._prompting.limits,
        )

    def _read(self, prompt: RankingPrompt, answer: _Answer) -> dict[ItemId, float]:
        self._prompting.learn(prompt, n_tokens=tokens(answer, "prompt_tokens"))
        scores = label_log_probabilities(answer, labels=prompt.items.keys())
        return {prompt.items[label]: score for label, score in scores.items()}


def one_pass_body(prompt: RankingPrompt, *, model: str, cache_salt: str) -> dict[str, object]:
    """Return the request that has every label of ``prompt`` scored by one token."""
    labels = list(prompt.items)
    return {
        "model": model,
        "messages": chat_messages(prompt),
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": len(labels),
        "structured_outputs": {"choice": labels},
        "cache_salt": cache_salt,
    }


def _mean(views: Sequence[Mapping[ItemId, float]]) -> dict[ItemId, float]:
    """Return the mean log-probability of each item over views of the same window."""
    return {item_id: fsum(view[item_id] for view in views) / len(views) for item_id in views[0]}
