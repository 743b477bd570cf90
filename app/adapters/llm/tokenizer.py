"""How a vLLM splits texts into tokens, and what its chat template puts around a message."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Final

from app.adapters.llm.client import LlmServer
from app.adapters.llm.responses import at
from app.domain.errors import RankerError

_MARK: Final = "MARK"


class OnePassUnsupportedError(RankerError):
    """The server ranks, if at all, in another way: no vLLM, or its mask does not hold."""


def count_tokens(server: LlmServer, texts: Sequence[str], *, deadline: float) -> list[int]:
    """Return how many tokens each text is.

    Raises:
        DependencyUnavailableError: no answer by ``deadline`` (monotonic seconds).
        OnePassUnsupportedError: the server cannot say.
    """
    return [len(token_ids) for token_ids in token_ids_of(server, texts, deadline=deadline)]


def token_ids_of(server: LlmServer, texts: Sequence[str], *, deadline: float) -> list[list[int]]:
    """Return the token ids of each text; errors as for ``count_tokens``."""
    bodies = [
        {"model": server.model, "prompt": text, "add_special_tokens": False} for text in texts
    ]
    try:
        answers = server.post_all("/tokenize", bodies, timeout_s=deadline - monotonic())
        found = [at(answer, "tokens") for answer in answers]
    except RankerError as exc:
        message = "the server cannot say how it splits a text into tokens"
        raise OnePassUnsupportedError(message) from exc
    return [[int(str(token)) for token in ids] if isinstance(ids, list) else [] for ids in found]


def chat_frame(server: LlmServer, *, system: str, deadline: float) -> tuple[str, str]:
    """Return what the model's chat template puts before and behind a user's message.

    Control tokens are in it as text, which vLLM reads as control tokens again.

    Args:
        server: a vLLM.
        system: the system message, part of what comes before.
        deadline: in monotonic seconds.

    Raises:
        DependencyUnavailableError: no answer in time.
        OnePassUnsupportedError: the server does not tell, or the template changes the message.
    """
    messages = [{"role": "system", "content": system}, {"role": "user", "content": _MARK}]
    body = {"model": server.model, "messages": messages, "add_generation_prompt": True}
    try:
        told = server.post("/tokenize", body, timeout_s=deadline - monotonic())
        back = {"model": server.model, "tokens": at(told, "tokens")}
        text = at(server.post("/detokenize", back, timeout_s=deadline - monotonic()), "prompt")
    except RankerError as exc:
        message = "the server does not tell its chat template"
        raise OnePassUnsupportedError(message) from exc
    before, mark, behind = str(text).rpartition(_MARK)
    if not mark or system not in before:
        message = "the server's chat template changes what it is given"
        raise OnePassUnsupportedError(message)
    return before, behind
