"""A loader of Amazon Reviews 2023: ``meta.jsonl`` and ``reviews.jsonl`` in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.adapters.datasets.items import lenient_item
from app.adapters.datasets.lines import file_size, read_records, refuse, stored_as
from app.adapters.datasets.options import NOTHING_TOLD, ReadOptions
from app.ports.dataset import START, BadLine, InteractionRecord, ItemRecord, Position
from app.wire.interactions import interaction_from_wire


class AmazonReviews:
    """Products by ``parent_asin``, and what people rated and wrote about them.

    Args:
        path: the folder; its files may be compressed (``.gz``).
        now: nothing may have happened after it.
        options: none of them means anything here.
    """

    def __init__(self, path: Path, *, now: datetime, options: ReadOptions = NOTHING_TOLD) -> None:
        del options
        self._now = now
        self._meta = stored_as(path / "meta.jsonl")
        self._reviews = stored_as(path / "reviews.jsonl")
        self.file_names = (self._meta.name, self._reviews.name)
        self.remarks = ("Images and votes are not loaded.",)
        self.items_total = file_size(self._meta)
        self.interactions_total = file_size(self._reviews)

    def items(self, *, after: Position = START) -> Iterator[ItemRecord | BadLine]:
        return read_records(self._meta, make=_item, after=after)

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        return read_records(self._reviews, make=self._interaction, after=after)

    def _interaction(self, text: str, position: Position) -> InteractionRecord:
        row = _object(text)
        name = "/".join(str(row.get(part)) for part in ("user_id", "parent_asin", "timestamp"))
        told = {
            "event_id": f"amazon:{hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()}",
            "user": row.get("user_id"),
            "item_id": row.get("parent_asin"),
            "kind": "rating",
            "value": row.get("rating"),
            "occurred_at": _time(row.get("timestamp")),
            "text": row.get("text") or None,
        }
        return InteractionRecord(interaction_from_wire(told, now=self._now), position)


def _item(text: str, position: Position) -> ItemRecord:
    row = _object(text)
    told = {
        "item_id": row.get("parent_asin"),
        "title": row.get("title"),
        "description": " ".join(row.get("description") or ()),
        "attributes": {
            name: row[name] for name in ("store", "price", "categories") if row.get(name)
        },
    }
    return lenient_item(told, position=position)


def _object(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise refuse("is not JSON", field="line") from error
    if not isinstance(row, dict):
        raise refuse("is no JSON object", field="line")
    return row


def _time(milliseconds: object) -> str:
    if not isinstance(milliseconds, int):
        raise refuse("is no number of milliseconds", field="timestamp")
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
