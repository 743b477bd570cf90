"""Ranking with vLLM in one forward pass: the log-probabilities of the labels are the ranking.

The answer is one token, masked by a grammar of the labels, so that the log-probabilities of
all labels come back from the prefill alone (after FIRST: Reddy et al., EMNLP 2024; see
docs/decisions/0012).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Final

from app.adapters.llm.client import CHAT, LlmRefusedError, chat_messages
from app.adapters.llm.ranker import (
    OTHER_SALT,
    WARM_UP_TIMEOUT_S,
    FormUnsupportedError,
    LlmRanker,
)
from app.adapters.llm.responses import cached_tokens, label_log_probabilities, tokens
from app.adapters.llm.tokenizer import count_tokens
from app.domain.errors import RankerError
from app.domain.models import Item, ItemId
from app.domain.recommendation.label_batches import label_batches, linked
from app.domain.recommendation.prompt import LABELS, AnswerForm, RankingPrompt
from app.ports.ranker import LlmRanking, RankingForm, RankingTask

MIN_LABELS: Final = 10
"""With fewer one-token labels than this the model is of another kind than any we know."""


class SinglePassRanker(LlmRanker):
    """Ranks up to 52 candidates for the price of one token, and more of them in batches.

    Of more than there is time to read, their bare titles are shown, or the first ones alone.

    The server is a vLLM of 0.30 or later (CVE-2026-105756) whose ``--max-logprobs`` is at least
    the label batch.
    """

    _labels: Sequence[str] = ()

    def warm_up(self) -> None:
        """Check model, labels and limits of the server, and have it compile the grammar."""
        deadline = monotonic() + WARM_UP_TIMEOUT_S
        self._described()
        words = self._prompting.template.system
        counts = count_tokens(self._server, [*LABELS, words], deadline=deadline)
        n_words = counts.pop()
        single = [label for label, count in zip(LABELS, counts, strict=True) if count == 1]
        labels = single[: self._prompting.label_batch]
        if len(labels) < min(MIN_LABELS, self._prompting.label_batch):
            message = f"only {len(labels)} labels are one token of this model"
            raise FormUnsupportedError(message)
        with self._prompting.rate.unchanged():
            self._prompting.rate.learn([words], n_tokens=n_words)
            self._labels = labels
            self._probe(deadline=deadline)
        self._is_warm = True

    def _probe(self, *, deadline: float) -> None:
        """Rank the largest prompt there can be, so that no limit is met by a user first."""
        task = self._largest_task(len(self._labels), timeout_s=deadline - monotonic())
        try:
            self._fitted(task)
            # The first prompt had the grammar compiled; the second one tells what reading takes.
            self._prompting.pace.start_over()
            small = [Item(item.item_id, "word") for item in task.candidates]
            self._fitted(replace(task, candidates=small, cache_salt=OTHER_SALT))
        except LlmRefusedError as exc:
            message = (
                f"the LLM server refused a full prompt with status {exc.status}: it needs "
                f"--max-logprobs of at least {len(self._labels)}, or a larger --max-model-len"
            )
            raise RankerError(message) from exc
        except RankerError as exc:
            message = f"the LLM server does not mask its answer: {exc.message}"
            raise FormUnsupportedError(message) from exc

    def _rank(self, task: RankingTask) -> LlmRanking:
        prompting, labels = self._prompting, self._labels
        shown = prompting.shown(
            task.memories,
            task.candidates,
            ask=prompting.template.ask_label,
            budget=prompting.pace.units_in(task.timeout_s),
        )
        batches, anchors = label_batches(shown.candidates, size=min(len(labels), shown.batch))
        prompts = [
            prompting.ranking(shown, batch, seed=task.seed, form=AnswerForm.LABEL, labels=labels)
            for batch in batches
        ]
        bodies = [
            one_pass_body(prompt, model=self._server.model, cache_salt=task.cache_salt)
            for prompt in prompts
        ]
        pace = prompting.pace
        with pace.waiting(sum(map(prompting.size, prompts))) as since_s:
            answers = self._answers(
                CHAT, bodies, texts=(one.texts for one in prompts), timeout_s=task.timeout_s
            )
        n_read = sum(tokens(answer, "prompt_tokens") for answer in answers)
        n_cached = sum(map(cached_tokens, answers))
        if n_cached < n_read / 2:  # else the way there would be taken for reading
            pace.learn(n_read - n_cached, since_s=since_s)
        prompting.learn(prompts, n_tokens=n_read)
        read = [self._read(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        return LlmRanking(
            log_probabilities=linked(read, anchors=anchors),
            form=RankingForm.LABEL,
            prompt_id=prompting.template.template_id,
            prompt_tokens=n_read,
            completion_tokens=sum(tokens(answer, "completion_tokens") for answer in answers),
            cached_tokens=n_cached,
        )

    @staticmethod
    def _read(prompt: RankingPrompt, answer: Mapping[str, object]) -> dict[ItemId, float]:
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
