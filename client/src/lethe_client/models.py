"""The service's JSON, typed. Dictionaries stay dictionaries, so new fields break nobody."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Kind = Literal["rating", "view", "purchase", "like", "dislike", "note"]


class Item(TypedDict):
    """An entry of the catalogue."""

    item_id: str
    title: str
    description: NotRequired[str | None]
    attributes: NotRequired[dict[str, Any]]
    available: NotRequired[bool]


class Interaction(TypedDict):
    """What a user did or said; ``event_id`` makes sending it again harmless.

    ``occurred_at`` is ISO 8601 with an offset; ``value`` is needed by ratings, ``text`` by notes.
    """

    event_id: str
    user: str
    kind: Kind
    occurred_at: str
    item_id: NotRequired[str | None]
    value: NotRequired[float | None]
    text: NotRequired[str | None]


class ItemsStored(TypedDict):
    """How many items were received, and how many of them were new or another than before."""

    received: int
    changed: int


class Ingested(TypedDict):
    """What became of interactions; ``refused`` were erased before and sent again."""

    accepted: int
    duplicate: int
    updated: int
    refused: int
    errors: list[dict[str, Any]]


class Because(TypedDict):
    """An item of the user's own past that a recommendation rests on."""

    item_id: str
    title: str


class Recommended(TypedDict):
    """One item of a list, with what it rests on."""

    item_id: str
    title: str
    score: float
    because: list[Because]
    source: str


class Recommendation(TypedDict):
    """A list; ``personalised`` is false for whoever nothing is known of."""

    user: str | None
    items: list[Recommended]
    ranked_by: str
    personalised: bool
    degraded: bool
    epoch: int
    cursor: str | None


class Scope(TypedDict):
    """What to forget: ``all``, or ``items``, ``events``, ``period``, ``topic`` with its field."""

    kind: Literal["all", "items", "events", "period", "topic"]
    item_ids: NotRequired[list[str]]
    event_ids: NotRequired[list[str]]
    text: NotRequired[str]


class Preview(TypedDict):
    """What would be forgotten."""

    scope: str
    n_memories: int
    memories: list[dict[str, Any]]


class Accepted(TypedDict):
    """An erasure that was taken. Keep ``receipt``: its salt is nowhere else."""

    request_id: str
    status: str
    scope: str
    received_at: str
    due_at: str
    status_url: str
    capability: str
    receipt: dict[str, Any]


class Step(TypedDict):
    """A finished step of an erasure."""

    step: str
    store: str
    touched: int
    duration_ms: float
    attempt: int


class Erasure(TypedDict):
    """How far an erasure is; ``certificate`` once it is completed."""

    request_id: str
    status: str
    scope: str
    due_at: str
    completed_at: str | None
    steps: list[Step]
    certificate: dict[str, Any] | None


class Rights(TypedDict):
    """Which rights of GDPR Art. 18 and 21 a user has in force."""

    restriction: bool
    objection: bool
