"""Ranking with vLLM by likelihood: how probable are the user's words after an item's text.

A model too small to choose among candidates still knows which text a request belongs to: on the
demo set this ranked free-text queries at NDCG@10 .623 where the embedder had .437 on the same text
(docs/decisions/0034). Source: the query-likelihood model, Ponte and Croft, SIGIR 1998.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import fsum, isfinite
from time import monotonic
from typing import Final

from app.adapters.llm.client import COMPLETIONS, LlmServer
from app.adapters.llm.prompts import Prompting
from app.adapters.llm.ranker import PROBE_SALT, WARM_UP_TIMEOUT_S, FormUnsupportedError, LlmRanker
from app.adapters.llm.responses import at, cached_tokens, tokens
from app.adapters.llm.tokenizer import count_tokens
from app.domain.errors import RankerError
from app.domain.recommendation.label_batches import normalised
from app.domain.recommendation.plain_text import as_data
from app.domain.recommendation.prompt import candidate_line
from app.ports.ranker import LlmRanking, RankingForm, RankingTask

_PROBED: Final = 8
"""Candidates of the largest size in the warm-up, which measures what a token takes."""
_SHARE: Final = 0.8
"""Of the time that there is; the rest is for what a token takes more than the last time."""
_LEARNING: Final = 1 / 4
BATCH: Final = 50
"""Candidates in one call: their answers fit ``MAX_ANSWER_BYTES`` several times."""


class LikelihoodRanker(LlmRanker):
    """Ranks by log P(query | item), each candidate in a prompt of its own, in one call for many.

    Free of any order shown, and of any liking for a letter. Every prompt carries the user's cache
    salt; vLLM finds nothing in its prefix cache for a request with ``prompt_logprobs``, so what is
    left of a query in its blocks is used again for nobody. Of more candidates than there is time
    for, the first ones are ranked: what a token of this server takes is learned from each call.
    """

    def __init__(
        self,
        server: LlmServer,
        *,
        prompting: Prompting,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """Take a server; ``now`` is a clock in seconds, by which calls are measured."""
        super().__init__(server, prompting=prompting)
        self._now = now
        self._token_s = 0.0

    def warm_up(self) -> None:
        """Check that the server tells how likely the tokens of a prompt are."""
        self._server.describe_model(timeout_s=WARM_UP_TIMEOUT_S)
        items = [self._prompting.largest_item(number) for number in range(_PROBED)]
        task = RankingTask((), items, PROBE_SALT, 0, WARM_UP_TIMEOUT_S, query="word")
        try:
            self._rank(task)
        except RankerError as exc:
            message = f"the LLM server does not tell how likely a prompt is: {exc.message}"
            raise FormUnsupportedError(message) from exc
        self._is_warm = True

    def rank(self, task: RankingTask) -> LlmRanking:
        """Score the candidates by the task's query; memories take no part.

        Those that there is no time for are left out, the last ones first.
        """
        self._require_warm()
        return self._rank(task)

    def _rank(self, task: RankingTask) -> LlmRanking:
        deadline = monotonic() + task.timeout_s
        started_s = self._now()
        limits, template = self._prompting.limits, self._prompting.template
        words = " " + as_data(task.query or "", max_chars=limits.memory_chars)
        [n_tokens] = count_tokens(self._server, [words], deadline=deadline)
        prompts = [
            f"{candidate_line(item, template=template, limits=limits)}\n{template.wanted}{words}"
            for item in task.candidates
        ]
        prompts = prompts[: self._n_affordable(prompts, left_s=_SHARE * task.timeout_s)]
        bodies = [
            likelihood_body(
                prompts[first : first + BATCH], model=self._server.model, cache_salt=task.cache_salt
            )
            for first in range(0, len(prompts), BATCH)
        ]
        answers = self._server.post_all(COMPLETIONS, bodies, timeout_s=deadline - monotonic())
        likelihoods = [
            _likelihood(answer, place, n_tokens=n_tokens)
            for answer, first in zip(answers, range(0, len(prompts), BATCH), strict=True)
            for place in range(len(prompts[first : first + BATCH]))
        ]
        ids = [item.item_id for item in task.candidates[: len(prompts)]]
        read = sum(tokens(answer, "prompt_tokens") for answer in answers)
        self._learn(prompts, n_tokens=read, spent_s=self._now() - started_s)
        return LlmRanking(
            log_probabilities=normalised(dict(zip(ids, likelihoods, strict=True))),
            form=RankingForm.LIKELIHOOD,
            prompt_id=template.template_id,
            prompt_tokens=read,
            completion_tokens=sum(tokens(answer, "completion_tokens") for answer in answers),
            cached_tokens=sum(map(cached_tokens, answers)),
        )

    def _n_affordable(self, prompts: Sequence[str], *, left_s: float) -> int:
        """Return how many of the first prompts can be read in the time, at least two."""
        spent_s = accumulate(self._prompting.rate.tokens(one) * self._token_s for one in prompts)
        return max(2, sum(one <= left_s for one in spent_s))

    def _learn(self, prompts: Sequence[str], *, n_tokens: int, spent_s: float) -> None:
        self._prompting.rate.learn(prompts, n_tokens=n_tokens)
        found = spent_s / max(n_tokens, 1)
        self._token_s += (_LEARNING if self._token_s else 1.0) * (found - self._token_s)


def likelihood_body(prompts: list[str], *, model: str, cache_salt: str) -> dict[str, object]:
    """Return the request that tells how likely each token of each prompt is."""
    return {
        "model": model,
        "prompt": prompts,
        "max_tokens": 1,
        "temperature": 0,
        "prompt_logprobs": 0,  # of the tokens that are there, and of no others
        "cache_salt": cache_salt,
    }


def _likelihood(answer: object, place: int, *, n_tokens: int) -> float:
    """Return the log-probability of the last ``n_tokens`` tokens of one prompt.

    Raises:
        RankerError: the answer does not tell it.
    """
    told = at(answer, "choices", place, "prompt_logprobs")
    is_right = at(answer, "choices", place, "index") == place
    tail = told[-n_tokens:] if isinstance(told, list) and 0 < n_tokens < len(told) else []
    values = [
        value
        for entry in tail
        if isinstance(entry, dict) and len(entry) == 1
        for value in [at(next(iter(entry.values())), "logprob")]
        if isinstance(value, int | float) and isfinite(value) and value <= 0
    ]
    if not is_right or not values or len(values) != n_tokens:
        message = "the LLM server's answer does not tell how likely each prompt is"
        raise RankerError(message)
    return fsum(values)
