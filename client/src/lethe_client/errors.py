"""What goes wrong. No message names a user: addresses and bodies are left out of them."""

from __future__ import annotations


class LetheError(Exception):
    """The service did not do what it was asked."""


class RefusedError(LetheError):
    """The service said no.

    Args:
        status: the HTTP status.
        code: the service's own, stable name of the reason.
        fields: what is wrong with which field.
    """

    def __init__(
        self, *, status: int, code: str, detail: str, fields: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.fields = fields or {}


class UnavailableError(LetheError):
    """The service did not answer, or was not ready, as often as it was asked."""
