"""Reading what an LLM server answered, trusting nothing about its shape.

Every error here says what is wrong with the shape and never quotes the answer. Causes are
dropped where the vendor's or the parser's error would carry the text.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Final, NoReturn

import numpy as np

from app.domain.errors import RankerError
from app.domain.recommendation.label_batches import normalised

_ROUNDING: Final = 1e-3
"""By how much a log-probability may exceed zero; servers add up in bfloat16."""


def parsed_object(text: str | bytes) -> Mapping[str, object]:
    """Parse a JSON object in which no key comes twice and every number is finite.

    Raises:
        RankerError: anything else.
    """
    try:
        # vLLM's grammar for strings of a limited length lets control characters through.
        parsed: object = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, strict=False
        )
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        message = "the LLM server's answer is not the JSON that was asked for"
        raise RankerError(message)
    return parsed


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a key comes twice"
        raise ValueError(message)
    return found


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is no number"
    raise ValueError(message)


def at(answer: object, *path: str | int) -> object:
    """Return the value under ``path`` of keys and positions.

    Raises:
        RankerError: the answer has no such place.
    """
    value = answer
    for step in path:
        value = _child(value, step)
        if value is None:
            message = f"the LLM server's answer has no {'.'.join(map(str, path))}"
            raise RankerError(message)
    return value


def _child(value: object, step: str | int) -> object:
    """Return what lies one step down, None where nothing does; no value read here may be null."""
    if isinstance(step, str):
        return value.get(step) if isinstance(value, Mapping) else None
    return value[step] if isinstance(value, list) and step < len(value) else None


def tokens(answer: object, name: str) -> int:
    """Return a count of ``usage``, such as ``prompt_tokens``."""
    count = at(answer, "usage", name)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        message = f"the LLM server's answer has no count in usage.{name}"
        raise RankerError(message)
    return count


def label_log_probabilities(answer: object, *, labels: Collection[str]) -> dict[str, float]:
    """Return the log-probability of each label as the first token, over the labels alone.

    A vocabulary may spell a label in two ways (a token and a raw byte); their probabilities
    are added. What is left outside the labels is divided out, so the result sums to one.

    Raises:
        RankerError: no log-probabilities, one that is none, or a label without any.
    """
    alternatives = at(answer, "choices", 0, "logprobs", "content", 0, "top_logprobs")
    if not isinstance(alternatives, list):
        message = "the LLM server's answer has no list of log-probabilities"
        raise RankerError(message)
    found: dict[str, float] = {}
    for alternative in alternatives:
        token = at(alternative, "token")
        if isinstance(token, str) and token in labels:
            value = _log_probability(alternative)
            found[token] = float(np.logaddexp(found.get(token, -np.inf), value))
    if len(found) < len(labels):
        message = f"the LLM server's answer scores {len(found)} of {len(labels)} labels"
        raise RankerError(message)
    return normalised(found)


def _log_probability(alternative: object) -> float:
    value = at(alternative, "logprob")
    if isinstance(value, int | float) and isfinite(value) and value <= _ROUNDING:
        return float(value)
    message = "the LLM server's answer has a log-probability that is none"
    raise RankerError(message)


def cached_tokens(answer: object) -> int:
    """Return how many tokens the server found in its prefix cache; 0 where it does not tell."""
    try:
        count = at(answer, "usage", "prompt_tokens_details", "cached_tokens")
    except RankerError:
        return 0
    return count if isinstance(count, int) and count >= 0 else 0
