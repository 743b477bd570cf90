"""Keyed hashes: the only stored forms of user ids and of other ids that callers choose."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from app.domain.models import (
    EventKey,
    Interaction,
    ItemId,
    Pseudonym,
    ReportedInteraction,
    RequestId,
)


def _mac(key: bytes, *parts: str) -> str:
    """Return 64 hex digits of HMAC-SHA-256 over length-prefixed UTF-8 ``parts``.

    Length prefixes keep ("ab", "c") and ("a", "bc") apart.
    """
    message = b"".join(
        len(raw).to_bytes(8, "big") + raw for raw in (part.encode() for part in parts)
    )
    # Not hmac.digest: it lets go of the interpreter, and gets it back after everybody who computes.
    return hmac.new(key, message, hashlib.sha256).hexdigest()


@cache
def _derived(pepper: bytes, purpose: str) -> bytes:
    """Return the key of a purpose: a dozen of them, and several for each row of a load."""
    return hmac.digest(pepper, purpose.encode(), hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Identity:
    """Derives every stored key of a person from the service's pepper.

    Each purpose has a key of its own, so that a pseudonym, an event key and a tombstone
    of the same person cannot be matched without the pepper.

    Args:
        pepper: the service's secret, at least 32 bytes. Changing it orphans all stored data.
    """

    pepper: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a pepper too short to be a key."""
        if len(self.pepper) < 32:  # noqa: PLR2004 - the digest's length, RFC 2104 section 3
            message = "the pepper must have at least 32 bytes"
            raise ValueError(message)

    def _key(self, purpose: str) -> bytes:
        return _derived(self.pepper, purpose)

    def pseudonym(self, user: str) -> Pseudonym:
        """Return the stored key of the caller's ``user`` id."""
        return Pseudonym(_mac(self._key("pseudonym"), user))

    def canary(self) -> Pseudonym:
        """Return the pseudonym of the service's own user; no user id has it."""
        return Pseudonym(_mac(self._key("canary"), "canary"))

    def needle_owner(self, request_id: RequestId) -> Pseudonym:
        """Return the name under which the vault keeps the key of a request's needles."""
        return Pseudonym(_mac(self._key("needles"), request_id))

    def fingerprint_key(self) -> bytes:
        """Return the key of the fingerprints that finished erasures are rechecked by."""
        return self._key("print")

    def search_key(self) -> bytes:
        """Return the key, 32 bytes, that seals what a worker is asked to search for."""
        return self._key("search")

    def event_key(self, pseudonym: Pseudonym, event_id: str) -> EventKey:
        """Return the stored key of the caller's ``event_id``; ids are the user's own name space."""
        return EventKey(_mac(self._key("event"), pseudonym, event_id))

    def interaction(self, reported: ReportedInteraction) -> Interaction:
        """Return ``reported`` with the user id and event id replaced by their stored keys."""
        return self.interactions([reported])[0]

    def interactions(self, reported: Sequence[ReportedInteraction]) -> list[Interaction]:
        """Do as ``interaction`` with each; the pseudonym of a user is derived once."""
        pseudonyms = {user: self.pseudonym(user) for user in {one.user for one in reported}}
        return [
            Interaction(
                pseudonym=(pseudonym := pseudonyms[one.user]),
                event_key=self.event_key(pseudonym, one.event_id),
                kind=one.kind,
                occurred_at=one.occurred_at,
                item_id=one.item_id,
                value=one.value,
                text=one.text,
                event_id=one.event_id,
                renewed_consent=one.renewed_consent,
            )
            for one in reported
        ]

    def tombstone_all(self, pseudonym: Pseudonym) -> str:
        """Return the token under which the erasure of everything of a user is remembered."""
        return _mac(self._key("tombstone"), "all", pseudonym)

    def tombstone_item(self, pseudonym: Pseudonym, item_id: ItemId) -> str:
        """Return the token of one erased (user, item)."""
        return _mac(self._key("tombstone"), "item", pseudonym, item_id)

    def tombstone_event(self, pseudonym: Pseudonym, event_key: EventKey) -> str:
        """Return the token of one erased event."""
        return _mac(self._key("tombstone"), "event", pseudonym, event_key)

    def tombstone_period(self, pseudonym: Pseudonym) -> str:
        """Return the token under which a user's erased periods are remembered."""
        return _mac(self._key("tombstone"), "period", pseudonym)

    def topic_id(self, pseudonym: Pseudonym, text: str) -> str:
        """Return the id of a user's topic; case and white space make no difference."""
        return _mac(self._key("topic"), pseudonym, " ".join(text.casefold().split()))

    def request_key(self, value: str) -> str:
        """Return the stored form of an idempotency key or subject request id."""
        return _mac(self._key("request"), value)

    def ticket_key(self) -> bytes:
        """Return the key, 32 bytes, that seals the callers' own numbers of requests."""
        return self._key("ticket")

    def body_hash(self, pseudonym: Pseudonym, body: object) -> str:
        """Return the keyed hash of a canonical JSON ``body``, to tell a repeat from a misuse."""
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return _mac(self._key("body"), pseudonym, canonical)

    def capability(self, request_id: RequestId) -> str:
        """Return the token that lets its holder read this request's status, 64 hex digits.

        Derived and not drawn, so that a repeated post gets the same receipt and nothing of
        the token need be stored.
        """
        return _mac(self._key("capability"), request_id)

    def is_capability(self, token: str, *, request_id: RequestId) -> bool:
        """Whether ``token`` is that request's, compared in constant time."""
        return hmac.compare_digest(token.encode(), self.capability(request_id).encode())

    def cache_salt(self, pseudonym: Pseudonym, epoch: int) -> str:
        """Return 64 hex digits that keep one user's prompts apart from all others in vLLM's cache.

        Hex and no longer than 64 characters, because of CVE-2026-105756.
        """
        return _mac(self._key("cache"), pseudonym, str(epoch))

    def cursor_key(self) -> bytes:
        """Return the key, 32 bytes, of the codes that cursors of lists carry."""
        return self._key("cursor")

    def list_key(self) -> bytes:
        """Return the key, 32 bytes, of the tokens that lists are named by."""
        return self._key("list")

    def list_owner(self, pseudonym: Pseudonym, list_id: str) -> str:
        """Return 32 hex digits that tie a list's token to its user, others for each list."""
        return _mac(self._key("list-owner"), pseudonym, list_id)[:32]

    def access_digest(self, token: str) -> str:
        """Return the stored form of a key's token, which has 256 random bits, 64 hex digits."""
        return _mac(self._key("access"), token)

    def console_key(self, admin_token: str) -> bytes:
        """Return the key, 32 bytes, that signs the console's sessions; another token, another."""
        return bytes.fromhex(_mac(self._key("console"), admin_token))

    def seed(self, *parts: str) -> int:
        """Return a 64-bit seed that nobody outside can predict, equal for equal ``parts``."""
        return int(_mac(self._key("seed"), *parts)[:16], 16)
