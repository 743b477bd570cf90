"""A witness over HTTP: c2sp.org/tlog-witness."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

import httpx

from app.domain.audit.checkpoint import CheckpointError, SignedNote
from app.domain.errors import DependencyUnavailableError
from app.ports.witness import WitnessAheadError

_TIMEOUT_S: Final = 10.0
_CONFLICT: Final = 409
_OK: Final = 200


class HttpWitness:
    """Asks one witness.

    Args:
        url: address without ``/add-checkpoint``.
        is_its: whether a note bears a good signature of this witness.
    """

    def __init__(self, name: str, *, url: str, is_its: Callable[[SignedNote], bool]) -> None:
        self.name = name
        self._url = f"{url.rstrip('/')}/add-checkpoint"
        self._is_its = is_its

    def add_checkpoint(self, note: SignedNote, *, old: int, path: tuple[bytes, ...]) -> SignedNote:
        steps = "".join(f"{base64.b64encode(step).decode()}\n" for step in path)
        body = f"old {old}\n{steps}\n{note.encode()}"
        try:
            answer = httpx.post(self._url, content=body.encode(), timeout=_TIMEOUT_S)
        except httpx.HTTPError as error:
            raise DependencyUnavailableError(f"witness {self.name} does not answer") from error
        if answer.status_code == _CONFLICT and answer.text.strip().isdecimal():
            raise WitnessAheadError(int(answer.text))
        if answer.status_code != _OK:
            message = f"witness {self.name} refuses: HTTP {answer.status_code}"
            raise DependencyUnavailableError(message)
        try:
            signed = SignedNote.parse(f"{note.text}\n{answer.text}")
        except CheckpointError as error:
            raise DependencyUnavailableError(f"witness {self.name}: {error.message}") from error
        if not self._is_its(signed):
            raise DependencyUnavailableError(f"witness {self.name} signed with another key")
        return signed
