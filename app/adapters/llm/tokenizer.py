"""How a vLLM splits texts into tokens."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from app.adapters.llm.client import LlmServer
from app.adapters.llm.ranker import FormUnsupportedError
from app.adapters.llm.responses import at
from app.domain.errors import RankerError


def count_tokens(server: LlmServer, texts: Sequence[str], *, deadline: float) -> list[int]:
    """Return how many tokens each text is.

    Raises:
        DependencyUnavailableError: no answer by ``deadline`` (monotonic seconds).
        FormUnsupportedError: the server cannot say.
    """
    bodies = [
        {"model": server.model, "prompt": text, "add_special_tokens": False} for text in texts
    ]
    try:
        answers = server.post_all("/tokenize", bodies, timeout_s=deadline - monotonic())
        found = [at(answer, "tokens") for answer in answers]
    except RankerError as exc:
        message = "the server cannot say how it splits a text into tokens"
        raise FormUnsupportedError(message) from exc
    return [len(ids) if isinstance(ids, list) else 0 for ids in found]
