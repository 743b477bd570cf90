"""What ``GET /users/{user}/export`` handed out, to be taken in again: here, or elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from app.adapters.datasets.lines import refuse
from app.adapters.datasets.options import NOTHING_TOLD, ReadOptions
from app.domain.errors import InvalidInputError
from app.ports.dataset import START, BadLine, InteractionRecord, ItemRecord, Position
from app.wire.interactions import interaction_from_wire

FORMAT: Final = "lethe-export/v1"
_FIELDS: Final = ("event_id", "item_id", "kind", "value", "occurred_at", "text")


class ExportDataset:
    """The interactions of one export; the catalogue has to be there, or stubs be allowed.

    Args:
        path: of the export, one JSON document.
        now: the present, aware UTC; nothing may have happened after it.
        options: the encoding, if it is not UTF-8.

    Raises:
        InvalidInputError: it is no export of this version.
    """

    def __init__(self, path: Path, *, now: datetime, options: ReadOptions = NOTHING_TOLD) -> None:
        try:
            told = json.loads(path.read_text(encoding=options.encoding or "utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise refuse(f"{path.name} cannot be read as JSON") from error
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise refuse(f"{path.name} is no {FORMAT}")
        self._now = now
        self._user: object = told.get("user")
        self._told: list[Mapping[str, Any]] = told["interactions"]
        self.file_names = ("", path.name)
        self.items_total = 0
        self.interactions_total = len(self._told)
        self.remarks = ("Rights, unwanted topics and answers to lists are not taken in.",)

    def items(self, *, after: Position = START) -> Iterator[ItemRecord | BadLine]:  # noqa: ARG002 - the port has it
        """Yield nothing: an export has titles, and would overwrite a whole catalogue with them."""
        return iter(())

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        """The first happened first; a position counts interactions."""
        oldest_first = enumerate(reversed(self._told), start=1)
        for count, one in islice(oldest_first, after.offset, None):
            place = Position(line=count, offset=count)
            fields = {name: one.get(name) for name in _FIELDS}
            try:
                read = interaction_from_wire(fields | {"user": self._user}, now=self._now)
            except InvalidInputError as error:
                yield BadLine(self.file_names[1], place, error.message)
            else:
                yield InteractionRecord(read, place)
