"""Items of files, kept without what is wrong in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.domain.errors import InvalidInputError
from app.ports.dataset import ItemRecord, Position
from app.wire.schemas import item_from_wire

_NAME_CHARS: Final = 80


def lenient_item(data: object, *, position: Position, left_out: tuple[str, ...] = ()) -> ItemRecord:
    """Return the item in ``data`` without the fields and attributes that are wrong.

    A title that is missing or wrong is replaced by the id.

    Args:
        data: an item as the API takes it.
        position: behind it in its file.
        left_out: what the caller left out already: the attribute, and what is wrong with it.

    Raises:
        InvalidInputError: it is no object, or its id is wrong.
    """
    if not isinstance(data, Mapping):
        return ItemRecord(item_from_wire(data), position)
    if not data.get("title"):
        data = {**data, "title": data.get("item_id")}
    try:
        return ItemRecord(item_from_wire(data), position, left_out)
    except InvalidInputError:
        return _without_wrong(data, position, left_out)


def _without_wrong(
    data: Mapping[str, object], position: Position, left_out: tuple[str, ...]
) -> ItemRecord:
    """Try each part alone: only the wire form knows what is wrong with which."""
    item_id = data.get("item_id")
    item_from_wire({"item_id": item_id, "title": "-"})  # without an id there is nothing to keep
    core = {"item_id": item_id, "title": item_id}
    attributes: dict[str, object] = {}
    kept: dict[str, object] = {**core, "attributes": attributes}
    wrong = list(left_out)
    for name, value in data.items():
        if name == "item_id":
            continue
        if name == "attributes" and isinstance(value, Mapping):
            parts = [(f"{name}.{one}", {one: part}) for one, part in value.items()]
            for label, part in parts:
                if told := _wrong({**core, "attributes": attributes | part}):
                    wrong.append(f"{_printable(label)}: {told}")
                else:
                    attributes |= part
        elif told := _wrong({**core, name: value}):
            wrong.append(f"{_printable(name)}: {told}")
        elif name != "attributes":
            kept[name] = value
    return ItemRecord(item_from_wire(kept), position, tuple(wrong))


def _wrong(data: Mapping[str, object]) -> str | None:
    """Return what is wrong with an item, if anything."""
    try:
        item_from_wire(data)
    except InvalidInputError as error:
        return error.errors[0].message
    return None


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name[:_NAME_CHARS])
