"""Asking an LLM server for reasons: a JSON answer held by a schema, and never a ranking's path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Final

from app.adapters.llm.admission_queue import AdmissionQueue
from app.adapters.llm.client import CHAT, LlmServer, chat_messages
from app.adapters.llm.pool import RankerPool
from app.adapters.llm.prompts import Prompting
from app.adapters.llm.responses import at, parsed_object
from app.domain.errors import RankerError
from app.domain.models import ItemId
from app.domain.recommendation.prompt import RankingPrompt
from app.domain.recommendation.reasons import (
    REASON_CHARS,
    kept_reason,
    reasons_prompt,
    reasons_schema,
)
from app.ports.explainer import Explainer, ExplainTask, Reason

_TOKENS_PER_REASON: Final = REASON_CHARS + 64
"""Enough even where every character is a token."""


class LlmExplainer:
    """Has one server write reasons.

    Args:
        server: any server with ``/v1/chat/completions`` and JSON-schema answers.
        prompting: wording and sizes.
    """

    def __init__(self, server: LlmServer, *, prompting: Prompting) -> None:
        self._server = server
        self._prompting = prompting
        self._is_vllm: bool | None = None

    def explain(self, task: ExplainTask) -> dict[ItemId, Reason]:
        deadline = monotonic() + task.timeout_s
        if self._is_vllm is None:
            model = self._server.describe_model(timeout_s=task.timeout_s)
            self._is_vllm = model.get("owned_by") == "vllm"
        template = self._prompting.template
        shown = self._prompting.shown(
            task.memories, task.items, ask=template.ask_reasons, each=_TOKENS_PER_REASON
        )
        prompt = reasons_prompt(
            shown.memories,
            items=shown.candidates[: shown.batch],
            template=template,
            limits=shown.limits,
        )
        body = self._body(prompt, n_memories=len(shown.memories))
        if self._is_vllm:
            body["cache_salt"] = task.cache_salt
        answer = self._server.post(CHAT, body, timeout_s=deadline - monotonic())
        return _reasons(answer, prompt=prompt, task=replace(task, memories=shown.memories))

    def _body(self, prompt: RankingPrompt, *, n_memories: int) -> dict[str, object]:
        schema = reasons_schema(list(prompt.items), n_memories=n_memories)
        return {
            "model": self._server.model,
            "messages": chat_messages(prompt),
            "max_tokens": _TOKENS_PER_REASON * len(prompt.items),
            "temperature": 0,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "reasons", "strict": True, "schema": schema},
            },
        }


def _reasons(answer: object, *, prompt: RankingPrompt, task: ExplainTask) -> dict[ItemId, Reason]:
    if at(answer, "choices", 0, "finish_reason") != "stop":
        message = "the LLM server's answer was cut off"
        raise RankerError(message)
    content = at(answer, "choices", 0, "message", "content")
    told = parsed_object(content) if isinstance(content, str) else {}
    kept = {
        item.item_id: kept_reason(told.get(label), item=item, memories=task.memories)
        for label, item in zip(prompt.items, task.items, strict=False)
    }
    return {item_id: Reason(*reason) for item_id, reason in kept.items() if reason is not None}


class ExplainerPool:
    """Explains with the least busy server of a pool, in a line of its own.

    Reasons take a hundred times as long to write as a ranking, so they never take a ranking's
    turn; and they fail without opening a ranking's breaker.

    Args:
        pool: chooses the server.
        explainers: of each server, in the pool's order.
        queue: of explanations alone.
    """

    def __init__(
        self, pool: RankerPool, *, explainers: Sequence[Explainer], queue: AdmissionQueue
    ) -> None:
        self._pool = pool
        self._explainers = explainers
        self._queue = queue

    def explain(self, task: ExplainTask) -> dict[ItemId, Reason]:
        deadline = monotonic() + task.timeout_s
        with (
            self._queue.admitted(timeout_s=task.timeout_s),
            self._pool.lent(task.cache_salt) as number,
        ):
            left = ExplainTask(task.memories, task.items, task.cache_salt, deadline - monotonic())
            return self._explainers[number].explain(left)
