"""Ranking with any OpenAI-compatible server: a JSON object of scores, held by a schema.

Slower than one pass by the tokens it writes; see docs/decisions/0012.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Final

from app.adapters.llm.client import CHAT, LlmServer, chat_messages
from app.adapters.llm.prompts import Pace, Prompting
from app.adapters.llm.ranker import PROBE_SALT, WARM_UP_TIMEOUT_S, LlmRanker
from app.adapters.llm.responses import at, cached_tokens, parsed_object, tokens
from app.domain.errors import RankerError
from app.domain.models import Item, ItemId
from app.domain.recommendation.label_batches import label_batches, normalised
from app.domain.recommendation.prompt import LABELS, TOP_SCORE, AnswerForm, RankingPrompt
from app.ports.ranker import LlmRanking, RankingForm, RankingTask

TOKENS_PER_SCORE: Final = 10
"""Enough for ``"A": 100,`` where every character is a token."""
_FRAME_TOKENS: Final = 16


class JsonRanker(LlmRanker):
    """Ranks by asking any server with JSON-schema answers for a score of each candidate.

    The schema names every label as a required key and allows no other, so an answer that
    follows it scores each candidate exactly once; the answer is checked all the same.
    """

    _is_vllm = False

    def __init__(self, server: LlmServer, *, prompting: Prompting) -> None:
        """Take a server; what a candidate takes, read and written, is learned from each call."""
        super().__init__(server, prompting=prompting)
        self._pace = Pace()

    def warm_up(self) -> None:
        """Check that the model is served and answers two candidates as the schema says."""
        model = self._server.describe_model(timeout_s=WARM_UP_TIMEOUT_S)
        self._is_vllm = model.get("owned_by") == "vllm"
        items = [Item(item_id=ItemId(name), title=name) for name in ("first", "second")]
        task = RankingTask((), items, PROBE_SALT, seed=0, timeout_s=WARM_UP_TIMEOUT_S)
        with self._prompting.rate.unchanged():
            self._rank(task)
            self._pace.start_over()  # that call has had a grammar compiled; the next tells a pace
            self._rank(task)
        self._is_warm = True

    def rank(self, task: RankingTask) -> LlmRanking:
        """Score every candidate by one call for each label batch, all at once."""
        self._require_warm()
        return self._rank(task)

    def _rank(self, task: RankingTask) -> LlmRanking:
        labels = LABELS[: self._prompting.label_batch]
        n_in_time = max(2, int(min(self._pace.units_in(task.timeout_s), len(task.candidates))))
        candidates = task.candidates[:n_in_time]
        batches, _ = label_batches(candidates, size=len(labels))
        prompts = [
            self._prompting.ranking(task, batch, form=AnswerForm.SCORES, labels=labels)
            for batch in batches
        ]
        bodies = [json_body(prompt, model=self._server.model) for prompt in prompts]
        if self._is_vllm:
            # Others refuse the field; vLLM without it would share prompt blocks across users.
            bodies = [body | {"cache_salt": task.cache_salt} for body in bodies]
        with self._pace.waiting(len(candidates)) as since_s:
            answers = self._server.post_all(CHAT, bodies, timeout_s=task.timeout_s)
        self._pace.learn(len(candidates), since_s=since_s)
        weights: dict[ItemId, float] = {}
        for prompt, answer in zip(prompts, answers, strict=True):
            self._prompting.learn(prompt, n_tokens=tokens(answer, "prompt_tokens"))
            for label, score in label_scores(answer, labels=list(prompt.items)).items():
                # Scores are read as the weights of a choice (Luce, 1959), on one scale in all
                # batches; one is added so that 0 has a logarithm.
                weights[prompt.items[label]] = log(score + 1)
        return LlmRanking(
            log_probabilities=normalised(weights),
            form=RankingForm.JSON,
            prompt_id=self._prompting.template.template_id,
            prompt_tokens=sum(tokens(answer, "prompt_tokens") for answer in answers),
            completion_tokens=sum(tokens(answer, "completion_tokens") for answer in answers),
            cached_tokens=sum(map(cached_tokens, answers)),
        )


def json_body(prompt: RankingPrompt, *, model: str) -> dict[str, object]:
    """Return the request that has every label of ``prompt`` scored in a JSON object."""
    labels = list(prompt.items)
    score = {"type": "integer", "minimum": 0, "maximum": TOP_SCORE}
    schema = {
        "type": "object",
        "properties": dict.fromkeys(labels, score),
        "required": labels,
        "additionalProperties": False,
    }
    return {
        "model": model,
        "messages": chat_messages(prompt),
        "max_tokens": TOKENS_PER_SCORE * len(labels) + _FRAME_TOKENS,
        "temperature": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "scores", "strict": True, "schema": schema},
        },
    }


def label_scores(answer: Mapping[str, object], *, labels: Sequence[str]) -> dict[str, int]:
    """Return the score in [0, 100] of each label.

    Raises:
        RankerError: the answer was cut off, is no JSON, or scores other labels than these.
    """
    if at(answer, "choices", 0, "finish_reason") != "stop":
        message = "the LLM server's answer was cut off"
        raise RankerError(message)
    content = at(answer, "choices", 0, "message", "content")
    scores = parsed_object(content) if isinstance(content, str) else {}
    found = {
        label: score
        for label, score in scores.items()
        if isinstance(score, int) and not isinstance(score, bool) and 0 <= score <= TOP_SCORE
    }
    if len(scores) != len(labels) or found.keys() != set(labels):
        message = "the LLM server's answer does not score just the candidates asked for"
        raise RankerError(message)
    return {label: found[label] for label in labels}
