"""Ranking with vLLM in one forward pass: the log-probabilities of the labels are the ranking.

The answer is one token, masked by a grammar of the labels, so that the log-probabilities of
all labels come back from the prefill alone (after FIRST: Reddy et al., EMNLP 2024; see
docs/decisions/0012).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from time import monotonic
from typing import Final

from app.adapters.llm_answers import at, label_log_probabilities, tokens
from app.adapters.llm_prompting import Prompting
from app.adapters.llm_server import CHAT, LlmRefusedError, LlmServer, chat_messages
from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.models import Item, ItemId, Kind
from app.domain.prompt import (
    LABELS,
    AnswerForm,
    PromptLimits,
    RankingPrompt,
    ShownMemory,
    ranking_prompt,
)
from app.ports.ranker import LlmRanking, RankingTask

MIN_LABELS: Final = 10
"""With fewer one-token labels than this the model is of another kind than any we know."""
_PROBE_SALT: Final = "0" * 64


class OnePassUnsupportedError(RankerError):
    """The server ranks, if at all, in another way: no vLLM, or its mask does not hold."""


class VllmRanker:
    """Ranks up to 52 candidates for the price of one token.

    Args:
        server: a vLLM of 0.30 or later (CVE-2026-105756), ``--max-logprobs`` at least ``window``.
        prompting: wording and sizes.
        window: candidates ranked at most, 1 to 52.
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
        self._server = server
        self._prompting = prompting
        self._window = window
        self._permutations = permutations
        self._warm_up_timeout_s = warm_up_timeout_s
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
        single = [label for label in LABELS if self._count_tokens(label, deadline=deadline) == 1]
        words = self._prompting.template.system
        n_tokens = self._count_tokens(words, deadline=deadline)
        self._prompting.rate.learn([words], n_tokens=n_tokens)
        labels = single[: self._window]
        if len(labels) < min(MIN_LABELS, self._window):
            message = f"only {len(labels)} labels are one token of this model"
            raise OnePassUnsupportedError(message)
        self._probe(labels, deadline=deadline)
        self._labels = labels

    def rank(self, task: RankingTask) -> LlmRanking:
        """Score the first ``len(labels)`` candidates; the rest is absent from the result."""
        if not self._labels:
            message = "the LLM ranker is not warmed up"
            raise DependencyUnavailableError(message)
        deadline = monotonic() + task.timeout_s
        passes = [
            self._pass(task, labels=self._labels, is_reversed=bool(number), deadline=deadline)
            for number in range(self._permutations)
        ]
        return _averaged(passes)

    def memory_tokens(self, memories: Sequence[ShownMemory]) -> list[int]:
        """Return about how many tokens each takes in a prompt."""
        return self._prompting.costs(memories)

    def status(self) -> str:
        """Return ``ready`` or ``cold``."""
        return "ready" if self._labels else "cold"

    def _count_tokens(self, text: str, *, deadline: float) -> int:
        body = {"model": self._server.model, "prompt": text, "add_special_tokens": False}
        try:
            answer = self._server.post("/tokenize", body, timeout_s=deadline - monotonic())
            return int(str(at(answer, "count")))
        except (RankerError, ValueError) as exc:
            message = "the server cannot say how it splits a text into tokens"
            raise OnePassUnsupportedError(message) from exc

    def _probe(self, labels: Sequence[str], *, deadline: float) -> None:
        """Rank the largest prompt there can be, so that no limit is met by a user first."""
        limits = self._prompting.limits
        task = RankingTask(
            memories=self._prompting.fill(_largest_memory(limits)),
            candidates=[_largest_item(number, limits) for number in range(len(labels))],
            cache_salt=_PROBE_SALT,
            seed=0,
            timeout_s=deadline - monotonic(),
        )
        try:
            self._pass(task, labels=labels, is_reversed=False, deadline=deadline)
        except LlmRefusedError as exc:
            message = (
                f"the LLM server refused a full prompt with status {exc.status}: it needs "
                f"--max-logprobs of at least {len(labels)} and a --max-model-len that holds it"
            )
            raise RankerError(message) from exc
        except RankerError as exc:
            message = f"the LLM server does not mask its answer: {exc.message}"
            raise OnePassUnsupportedError(message) from exc

    def _pass(
        self, task: RankingTask, *, labels: Sequence[str], is_reversed: bool, deadline: float
    ) -> LlmRanking:
        prompt = ranking_prompt(
            task.memories,
            candidates=task.candidates,
            template=self._prompting.template,
            seed=task.seed,
            form=AnswerForm.LABEL,
            labels=labels,
            is_reversed=is_reversed,
            limits=self._prompting.limits,
        )
        body = one_pass_body(prompt, model=self._server.model, cache_salt=task.cache_salt)
        answer = self._server.post(CHAT, body, timeout_s=deadline - monotonic())
        read = tokens(answer, "prompt_tokens")
        self._prompting.learn(prompt, n_tokens=read)
        scores = label_log_probabilities(answer, labels=prompt.items.keys())
        return LlmRanking(
            log_probabilities={prompt.items[label]: score for label, score in scores.items()},
            prompt_tokens=read,
            completion_tokens=tokens(answer, "completion_tokens"),
            prompt_id=self._prompting.template.template_id,
        )


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


def _averaged(passes: Sequence[LlmRanking]) -> LlmRanking:
    """Return the mean log-probability of each item, and all tokens spent."""
    return LlmRanking(
        log_probabilities={
            item_id: fsum(one.log_probabilities[item_id] for one in passes) / len(passes)
            for item_id in passes[0].log_probabilities
        },
        prompt_tokens=sum(one.prompt_tokens for one in passes),
        completion_tokens=sum(one.completion_tokens for one in passes),
        prompt_id=passes[0].prompt_id,
    )


def _largest_memory(limits: PromptLimits) -> ShownMemory:
    return ShownMemory(Kind.NOTE, text="word " * limits.memory_chars)


def _largest_item(number: int, limits: PromptLimits) -> Item:
    return Item(
        item_id=ItemId(f"probe-{number}"),
        title="word " * limits.title_chars,
        description="word " * limits.details_chars,
    )
