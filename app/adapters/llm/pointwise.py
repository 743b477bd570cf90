"""Ranking with vLLM one candidate at a time: how likely is it that the model says yes.

Free of any liking for a place in a list, and of any limit on the number of candidates, for the
price of a sequence each; they share the prefix with the person's memories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from time import monotonic
from typing import Final

from app.adapters.llm.client import LlmRefusedError, LlmServer
from app.adapters.llm.prompts import Prompting
from app.adapters.llm.ranker import LlmRanker
from app.adapters.llm.responses import at, cached_tokens, tokens
from app.adapters.llm.tokenizer import OnePassUnsupportedError, chat_frame, token_ids_of
from app.domain.errors import RankerError
from app.domain.recommendation.prompt import pointwise_parts
from app.domain.recommendation.windows import normalised
from app.ports.ranker import LlmRanking, RankingTask

SCORING: Final = "/generative_scoring"
_LEAST: Final = 1e-9
"""Stands for a probability of 0, which has no logarithm."""


class PointwiseRanker(LlmRanker):
    """Ranks by the probability of a yes for each candidate, in one call.

    Args:
        server: a vLLM with ``/generative_scoring``.
        prompting: wording and sizes.
        warm_up_timeout_s: total seconds for the checks.
    """

    def __init__(
        self, server: LlmServer, *, prompting: Prompting, warm_up_timeout_s: float = 120.0
    ) -> None:
        super().__init__(server, prompting=prompting, warm_up_timeout_s=warm_up_timeout_s)
        self._frame = ("", "")
        self._labels: Sequence[int] = ()

    def warm_up(self) -> None:
        """Check the model, learn its chat template and its words for yes and no.

        Raises:
            DependencyUnavailableError: the server does not answer.
            OnePassUnsupportedError: the server cannot rank this way.
            RankerError: it could, but serves another model or its context is too short.
        """
        deadline = monotonic() + self._warm_up_timeout_s
        template = self._prompting.template
        self._server.describe_model(timeout_s=self._warm_up_timeout_s)
        self._frame = chat_frame(self._server, system=template.system, deadline=deadline)
        texts = [template.yes, template.no, template.system]
        yes, no, words = token_ids_of(self._server, texts, deadline=deadline)
        # A word of several tokens is told by its first one, as long as that tells them apart.
        if not yes or not no or yes[0] == no[0]:
            message = "yes and no begin with the same token of this model"
            raise OnePassUnsupportedError(message)
        self._prompting.rate.learn([template.system], n_tokens=len(words))
        self._probe(labels=[yes[0], no[0]], deadline=deadline)
        self._labels, self._is_warm = [yes[0], no[0]], True

    def _ask(self, task: RankingTask) -> LlmRanking:
        return self._rank(task, labels=self._labels)

    def _probe(self, *, labels: Sequence[int], deadline: float) -> None:
        task = self._largest_task(2, timeout_s=deadline - monotonic())
        try:
            self._rank(task, labels=labels)
        except LlmRefusedError as exc:
            message = (
                f"the LLM server refused a full prompt with status {exc.status}: it needs "
                f"{SCORING} and a --max-model-len that holds it"
            )
            raise OnePassUnsupportedError(message) from exc

    def _rank(self, task: RankingTask, *, labels: Sequence[int]) -> LlmRanking:
        query, items = pointwise_parts(
            task.memories,
            candidates=task.candidates,
            template=self._prompting.template,
            limits=self._prompting.limits,
        )
        before, behind = self._frame
        body = {
            "model": self._server.model,
            "query": f"{before}{query}",
            "items": [f"{item}{behind}" for item in items],
            "label_token_ids": list(labels),
            "add_special_tokens": False,  # the frame has them
            "cache_salt": task.cache_salt,
        }
        answer = self._server.post(SCORING, body, timeout_s=task.timeout_s)
        shares = _shares(answer, count=len(items))
        weights = {
            item.item_id: log(max(share, _LEAST))
            for item, share in zip(task.candidates, shares, strict=True)
        }
        return LlmRanking(
            log_probabilities=normalised(weights),
            prompt_tokens=tokens(answer, "prompt_tokens"),
            completion_tokens=tokens(answer, "completion_tokens"),
            prompt_id=self._prompting.template.template_id,
            cached_tokens=cached_tokens(answer),
        )


def _shares(answer: Mapping[str, object], *, count: int) -> list[float]:
    """Return the probability of yes against no of each item.

    Raises:
        RankerError: not just one probability for each.
    """
    results = at(answer, "data")
    found: dict[int, float] = {}
    for result in results if isinstance(results, list) else []:
        index, score = at(result, "index"), at(result, "score")
        if isinstance(index, int) and isinstance(score, int | float) and 0 <= score <= 1:
            found[index] = float(score)
    if found.keys() != set(range(count)) or not isinstance(results, list) or len(results) != count:
        message = "the LLM server's answer does not score just the candidates asked for"
        raise RankerError(message)
    return [found[index] for index in range(count)]
