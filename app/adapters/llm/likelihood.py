"""Ranking with vLLM by likelihood: how probable are the user's words after an item's text.

A model too small to choose among candidates still knows which text a request belongs to: on the
demo set this ranked free-text queries at NDCG@10 .623 where the embedder had .437 on the same text
(docs/decisions/0034). Without words: how much likelier a title is after the titles that the user
likes than after none, which tells what is near to them from what is likely anyway. Sources: the
query-likelihood model, Ponte and Croft, SIGIR 1998; the difference, Holtzman et al., EMNLP 2021.
"""

from __future__ import annotations

from collections.abc import Callable
from math import fsum, isfinite
from time import monotonic
from typing import Final

from app.adapters.llm.client import COMPLETIONS, LlmServer
from app.adapters.llm.prompts import Prompting
from app.adapters.llm.ranker import PROBE_SALT, WARM_UP_TIMEOUT_S, FormUnsupportedError, LlmRanker
from app.adapters.llm.rates import Pace, n_affordable
from app.adapters.llm.responses import at, cached_tokens, tokens
from app.adapters.llm.tokenizer import count_tokens
from app.domain.errors import RankerError
from app.domain.models import Kind
from app.domain.recommendation.label_batches import normalised
from app.domain.recommendation.plain_text import as_data
from app.domain.recommendation.prompt import candidate_line, title_line
from app.ports.ranker import LlmRanking, RankingForm, RankingTask

_PROBED: Final = 8
"""Candidates of the largest size in the warm-up, which measures what a token takes."""
_TITLES: Final = 6
"""Liked titles that a title is compared with at most, the newest: each candidate's prompt has them
all, and none is found in the prefix cache."""
BATCH: Final = 50
"""Prompts in one call: their answers fit ``MAX_ANSWER_BYTES`` several times."""


class LikelihoodRanker(LlmRanker):
    """Ranks by log P(query | item), each candidate in a prompt of its own, in one call for many.

    A task without a query is ranked by log P(title | liked titles) - log P(title).

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
        self._pace = Pace(now)

    def warm_up(self) -> None:
        """Check that the server tells how likely the tokens of a prompt are."""
        self._described()
        items = [self._prompting.largest_item(number) for number in range(_PROBED)]
        task = RankingTask((), items, PROBE_SALT, 0, WARM_UP_TIMEOUT_S, query="word")
        try:
            with self._prompting.rate.unchanged():
                self._fitted(task)
        except RankerError as exc:
            message = f"the LLM server does not tell how likely a prompt is: {exc.message}"
            raise FormUnsupportedError(message) from exc
        self._is_warm = True

    def _rank(self, task: RankingTask) -> LlmRanking:
        deadline = monotonic() + task.timeout_s
        asked, n_tail = self._asked(task, deadline=deadline)
        costs = [sum(map(self._prompting.rate.tokens, prompts)) for prompts in asked]
        budget = self._pace.units_in(task.timeout_s)
        asked = asked[: n_affordable(costs, budget=budget)]
        prompts = [prompt for group in asked for prompt in group]
        bodies = [
            likelihood_body(
                prompts[first : first + BATCH], model=self._server.model, cache_salt=task.cache_salt
            )
            for first in range(0, len(prompts), BATCH)
        ]
        with self._pace.waiting(sum(costs[: len(asked)])) as since_s:
            answers = self._answers(
                COMPLETIONS, bodies, texts=zip(prompts), timeout_s=deadline - monotonic()
            )
        read = sum(tokens(answer, "prompt_tokens") for answer in answers)
        self._prompting.rate.learn(prompts, n_tokens=read)
        self._pace.learn(read, since_s=since_s)
        found = [
            _likelihood(answer, place, n_tokens=n_tail)
            for answer, first in zip(answers, range(0, len(prompts), BATCH), strict=True)
            for place in range(len(prompts[first : first + BATCH]))
        ]
        # Of a title alone the second prompt tells how likely it is anyway.
        pairs = zip(found[::2], found[1::2], strict=False)
        scores = [after - alone for after, alone in pairs] if task.query is None else found
        ids = [item.item_id for item in task.candidates[: len(asked)]]
        return LlmRanking(
            log_probabilities=normalised(dict(zip(ids, scores, strict=True))),
            form=RankingForm.LIKELIHOOD,
            prompt_id=self._prompting.template.template_id,
            prompt_tokens=read,
            completion_tokens=sum(tokens(answer, "completion_tokens") for answer in answers),
            cached_tokens=sum(map(cached_tokens, answers)),
        )

    def _asked(
        self, task: RankingTask, *, deadline: float
    ) -> tuple[list[tuple[str, ...]], int | None]:
        """Return the prompts of each candidate, and how many tokens of their ends count.

        Of titles all tokens do: those before a title are the same for every candidate.
        """
        prompting, template, half = self._prompting, self._prompting.template, self._half()
        if task.query is not None:
            words, n_tokens = self._words(task.query, deadline=deadline)
            budget = prompting.room - n_tokens - prompting.rate.tokens(template.wanted)
            lines = [prompting.line(candidate_line, one, budget=budget) for one in task.candidates]
            return [(f"{line}\n{template.wanted}{words}",) for line in lines], n_tokens
        liked = [
            one.item
            for one in task.memories
            if one.item is not None and one.kind is not Kind.DISLIKE and one.strength >= 1
        ][-_TITLES:]
        lines = [f"- {prompting.line(title_line, one, budget=half)}\n" for one in liked]
        costs = map(prompting.rate.tokens, reversed(lines))
        told = "".join(lines[-n_affordable(costs, budget=half, least=1) :])
        header = f"{template.liked}:\n"
        titles = [prompting.line(title_line, one, budget=half) for one in task.candidates]
        return [(f"{header}{told}- {one}", f"{header}- {one}") for one in titles], None

    def _words(self, query: str, *, deadline: float) -> tuple[str, int]:
        """Return what is asked for, or as much of it as half a prompt holds, and its tokens."""
        max_chars = self._prompting.limits.memory_chars
        while True:
            words = " " + as_data(query, max_chars=max_chars)
            [n_tokens] = count_tokens(self._server, [words], deadline=deadline)
            if n_tokens <= self._half() or max_chars <= 1:
                return words, n_tokens
            max_chars //= 2

    def _half(self) -> float:
        """Return the tokens that titles may have, or what they are compared with."""
        return (
            self._prompting.room - self._prompting.rate.tokens(self._prompting.template.liked)
        ) / 2


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


def _likelihood(answer: object, place: int, *, n_tokens: int | None) -> float:
    """Return the log-probability of the last ``n_tokens`` tokens of one prompt; None: of all.

    The first token has none before it, and so no probability.

    Raises:
        RankerError: the answer does not tell it.
    """
    told = at(answer, "choices", place, "prompt_logprobs")
    is_right = at(answer, "choices", place, "index") == place
    count = len(told) - 1 if isinstance(told, list) and n_tokens is None else n_tokens or 0
    tail = told[-count:] if isinstance(told, list) and 0 < count < len(told) else []
    values = [
        value
        for entry in tail
        if isinstance(entry, dict) and len(entry) == 1
        for value in [at(next(iter(entry.values())), "logprob")]
        if isinstance(value, int | float) and isfinite(value) and value <= 0
    ]
    if not is_right or not values or len(values) != count:
        message = "the LLM server's answer does not tell how likely each prompt is"
        raise RankerError(message)
    return fsum(values)
