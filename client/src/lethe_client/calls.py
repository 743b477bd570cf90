"""What is asked, as values; how it is sent is the business of ``clients``.

Every call may be repeated: events, items and erasures carry keys by which the service knows them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from lethe_client.models import (
    Accepted,
    Erasure,
    Ingested,
    Interaction,
    Item,
    ItemsStored,
    Preview,
    Recommendation,
    Rights,
    Scope,
)

T = TypeVar("T")
BATCH = 500
"""Entries a request; the service takes 1,000 unless it is told otherwise."""
NDJSON = {"Content-Type": "application/x-ndjson"}
FINAL = frozenset({"completed", "rejected", "failed"})
EVERYTHING: Scope = {"kind": "all"}


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request whose answer is a ``T``."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def body(value: object) -> dict[str, Any]:
    """Return the parts of a call whose body is JSON."""
    return {
        "content": json.dumps(value).encode(),
        "headers": {"Content-Type": "application/json"},
    }


def lines(entries: Iterable[object]) -> bytes:
    """Return one JSON document a line."""
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def batches(entries: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut into lists of at most ``size``, reading no further than needed."""
    source = iter(entries)
    while batch := list(islice(source, size)):
        yield batch


def recommend(user: str | None, options: Mapping[str, object]) -> Call[Recommendation]:
    """Ask for a list; the user is in the body, so no proxy logs it."""
    return Call("POST", "/recommend", **body({"user": user} | dict(options)))


def recommend_many(asked: Iterable[Mapping[str, object]], *, distinct: bool) -> Call[Any]:
    """Ask for many lists at once; they come one a line."""
    params = {"distinct": "true"} if distinct else {}
    return Call("POST", "/recommend/batch", params, lines(asked), NDJSON)


def items(batch: Iterable[Item]) -> Call[ItemsStored]:
    """Send entries of the catalogue."""
    return Call("POST", "/items", content=lines(batch), headers=NDJSON)


def interactions(
    batch: Iterable[Interaction], *, skip_bad: bool, renewed_consent: bool
) -> Call[Ingested]:
    """Send what users did."""
    params = {"on_error": "skip"} if skip_bad else {}
    params |= {"renewed_consent": "true"} if renewed_consent else {}
    return Call("POST", "/interactions", params, lines(batch), NDJSON)


def preview(user: str, scope: Scope) -> Call[Preview]:
    """Ask what would be forgotten."""
    return Call("POST", "/forget/preview", **body({"user": user, "scope": scope}))


def forget(user: str, scope: Scope, *, key: str | None) -> Call[Accepted]:
    """Ask to forget; under the same key it is one request, however often it is sent."""
    parts = body({"user": user, "scope": scope})
    parts["headers"] |= {"Idempotency-Key": key or uuid.uuid4().hex}
    return Call("POST", "/forget", **parts)


def erasure(request_id: str) -> Call[Erasure]:
    """Ask how far an erasure is."""
    return Call("GET", f"/forget/{quote(request_id, safe='')}")


def export(user: str) -> Call[dict[str, Any]]:
    """Ask for everything that is held of a user."""
    return Call("GET", f"/users/{quote(user, safe='')}/export")


def right(user: str, name: Literal["restriction", "objection"], *, in_force: bool) -> Call[Rights]:
    """Exercise a right, or take it back."""
    return Call("PUT" if in_force else "DELETE", f"/users/{quote(user, safe='')}/{name}")


def add_items(total: ItemsStored, part: ItemsStored) -> None:
    """Add what became of a batch to what became of those before it."""
    total["received"] += part["received"]
    total["changed"] += part["changed"]


def nothing_ingested() -> Ingested:
    """Return the sum of no batches."""
    return {"accepted": 0, "duplicate": 0, "updated": 0, "refused": 0, "errors": []}


def add_ingested(total: Ingested, part: Ingested, *, first: int) -> None:
    """Add a batch; ``first`` is how many entries came before it."""
    total["accepted"] += part["accepted"]
    total["duplicate"] += part["duplicate"]
    total["updated"] += part["updated"]
    total["refused"] += part["refused"]
    total["errors"] += [error | {"index": error["index"] + first} for error in part["errors"]]
