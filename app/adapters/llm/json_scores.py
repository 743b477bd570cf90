"""Ranking with any OpenAI-compatible server: a JSON object of scores, held by a schema.

Slower than one pass by the tokens it writes; see docs/decisions/0012.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Final

from app.adapters.llm.client import CHAT, LlmServer, chat_messages
from app.adapters.llm.prompts import Prompting
from app.adapters.llm.ranker import PROBE_SALT, WARM_UP_TIMEOUT_S, LlmRanker
from app.adapters.llm.rates import Pace
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
        model = self._described()
        self._is_vllm = model.get("owned_by") == "vllm"
        items = [Item(item_id=ItemId(name), title=name) for name in ("first", "second")]
        task = RankingTask((), items, PROBE_SALT, seed=0, timeout_s=WARM_UP_TIMEOUT_S)
        with self._prompting.rate.unchanged():
            self._fitted(task)
            self._pace.start_over()  # that call has had a grammar compiled; the next tells a pace
            self._fitted(task)
        self._is_warm = True

    def _rank(self, task: RankingTask) -> LlmRanking:
        n_in_time = min(self._pace.units_in(task.timeout_s), len(task.candidates))
        shown = self._prompting.shown(
            task.memories,
            task.candidates[: max(2, int(n_in_time))],
            ask=self._prompting.template.ask_scores,
            each=TOKENS_PER_SCORE,
        )
        batches, _ = label_batches(shown.candidates, size=shown.batch)
        prompts = [
            self._prompting.ranking(
                shown, batch, seed=task.seed, form=AnswerForm.SCORES, labels=LABELS
            )
            for batch in batches
        ]
        bodies = [json_body(prompt, model=self._server.model) for prompt in prompts]
        if self._is_vllm:
            # Others refuse the field; vLLM without it would share prompt blocks across users.
            bodies = [body | {"cache_salt": task.cache_salt} for body in bodies]
        with self._pace.waiting(len(shown.candidates)) as since_s:
            answers = self._answers(
                CHAT, bodies, texts=(one.texts for one in prompts), timeout_s=task.timeout_s
            )
        self._pace.learn(len(shown.candidates), since_s=since_s)
        n_read = sum(tokens(answer, "prompt_tokens") for answer in answers)
        self._prompting.learn(prompts, n_tokens=n_read)
        weights: dict[ItemId, float] = {}
        for prompt, answer in zip(prompts, answers, strict=True):
            for label, score in label_scores(answer, labels=list(prompt.items)).items():
                # Scores are read as the weights of a choice (Luce, 1959), on one scale in all
                # batches; one is added so that 0 has a logarithm.
                weights[prompt.items[label]] = log(score + 1)
        return LlmRanking(
            log_probabilities=normalised(weights),
            form=RankingForm.JSON,
            prompt_id=self._prompting.template.template_id,
            prompt_tokens=n_read,
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
