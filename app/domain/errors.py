"""Every error that may reach a caller, with its public, stable code.

    AppError
    ├── InvalidInputError        what was sent is wrong; names the fields
    │   └── UnknownItemsError    interactions with items that are not in the catalogue
    ├── NotFoundError            nothing of that id
    ├── RequestLostError         a restore lost the request; names the log that says so
    ├── ConflictError            the request contradicts an earlier one or the present state
    │   ├── IdempotencyConflictError
    │   ├── TooManyError         the user has as many of these as one may
    │   └── IllegalMoveError     an erasure request cannot go from here to there
    ├── UnauthenticatedError     no or wrong token
    ├── SlowedDownError          too many wrong tokens came from there
    ├── ForbiddenError           the token's role may not do this
    ├── DependencyUnavailableError   a store, queue or model does not answer
    │   ├── BusyError                it answers, and another writer or query is in the way
    │   ├── AccessRefusedError       it answers, and refuses the name or password it was given
    │   ├── RestoreInProgressError   stores are older than an erasure; nothing is served from them
    │   ├── LogBehindError       the audit log is older than what was signed; nothing is signed
    │   ├── OtherRequestError        another request of the same user comes first
    │   ├── StoreDamagedError        files of a store cannot be read; an operator has to renew them
    │   └── KeyUnavailableError      a user's key cannot be had, so neither can what it seals
    │       └── KeyMissingError      the vault answers, and does not hold it
    ├── RankerError              the LLM answered, but nothing a ranking can be read from
    ├── SettingsError            no process starts with these
    └── IntegrityError           stored data contradict each other; fail closed
        └── LogForkedError       two histories of the audit log were signed

No message may hold a user id, a history, a prompt or a model's answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with what was sent.

    Args:
        field: dotted path in the body, such as ``interactions.3.occurred_at``.
        message: what is wrong, in one sentence, without personal data.
    """

    field: str
    message: str


class AppError(Exception):
    """An error that has a public code; anything else that escapes is a bug."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str) -> None:
        """Keep ``message``, one sentence for the caller, without personal data."""
        super().__init__(message)
        self.message = message


class InvalidInputError(AppError):
    """What was sent is wrong."""

    code = "invalid_input"

    def __init__(self, *errors: FieldError) -> None:
        """Carry every field error found, at least one."""
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors[:5]))
        self.errors = errors


class UnknownItemsError(InvalidInputError):
    """Interactions name items that are not in the catalogue.

    Args:
        indices: 0-based places of those interactions in their batch.
    """

    def __init__(self, *errors: FieldError, indices: frozenset[int]) -> None:
        """Carry the field errors and the places."""
        super().__init__(*errors)
        self.indices = indices


class NotFoundError(AppError):
    """Nothing of that id exists, or it is not the caller's to see."""

    code = "not_found"


class RequestLostError(AppError):
    """A request was accepted after the backup that was restored, so its row is lost.

    Args:
        successor: name of the log that goes on and tells of the restore.
    """

    code = "request_lost"

    def __init__(self, message: str, *, successor: str) -> None:
        """Keep the sentence and the log's name."""
        super().__init__(message)
        self.successor = successor


class ConflictError(AppError):
    """The request contradicts the present state."""

    code = "conflict"


class IdempotencyConflictError(ConflictError):
    """The idempotency key was used before with another body."""

    code = "idempotency_conflict"


class TooManyError(ConflictError):
    """The user has as many of these as one may; some have to go first."""

    code = "too_many"


class IllegalMoveError(ConflictError):
    """An erasure request cannot go from its present state to the one asked for."""

    code = "illegal_move"


class UnauthenticatedError(AppError):
    """No token, or one that is not valid."""

    code = "unauthenticated"


class SlowedDownError(AppError):
    """Too many wrong tokens came from there; what follows is not looked at for a while."""

    code = "slowed_down"


class ForbiddenError(AppError):
    """The token is valid, its role may not do this."""

    code = "forbidden"


class DependencyUnavailableError(AppError):
    """A store, a queue or a model does not answer; the same call may succeed later."""

    code = "dependency_unavailable"


class BusyError(DependencyUnavailableError):
    """A store answers, but not in time: somebody else holds a lock, or all its connections."""

    code = "dependency_busy"


class AccessRefusedError(DependencyUnavailableError):
    """A store answers and refuses the name or password it was given: an operator's to repair."""

    code = "access_refused"


class RestoreInProgressError(DependencyUnavailableError):
    """Stores came from a backup that is older than an erasure, which is being repeated."""

    code = "restore_in_progress"


class LogBehindError(DependencyUnavailableError):
    """The audit log is older than what was signed of it, or a copy: nothing is signed over it."""

    code = "log_behind"


class OtherRequestError(DependencyUnavailableError):
    """An erasure of all has to wait until another request of the same user is over."""

    code = "waits_for_other_request"


class StoreDamagedError(DependencyUnavailableError):
    """Files of a store are damaged: what is in them can be neither used nor shown to be gone."""

    code = "store_damaged"


class KeyUnavailableError(DependencyUnavailableError):
    """A user's key cannot be had: the vault does not answer, or does not hold it."""

    code = "key_unavailable"


class KeyMissingError(KeyUnavailableError):
    """The vault holds no key of a user with sealed data: it was destroyed, or the vault lost it."""

    code = "key_missing"


class RankerError(AppError):
    """The LLM answered, but no ranking can be read from its answer."""

    code = "ranker_error"


class SettingsError(AppError):
    """The settings cannot be used; ``problems`` names each setting and what is wrong with it."""

    code = "settings"

    def __init__(self, problems: Iterable[str]) -> None:
        """Keep ``problems``, none of which repeats a value."""
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class IntegrityError(AppError):
    """Stored data contradict each other; nothing may be reported done."""

    code = "integrity_error"


class LogForkedError(IntegrityError):
    """Checkpoints of two histories of the audit log were signed: an operator has to look."""

    code = "log_forked"
