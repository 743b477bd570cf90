"""Loading a data set batch by batch."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from app.domain.errors import DependencyUnavailableError
from app.domain.models import ItemId, Kind, ReportedInteraction
from app.ports.dataset import START, BadLine, InteractionRecord, ItemRecord, Position
from app.services.ingestion.dataset_loader import LoadResult, LoadService, LoadWatcher
from tests.evidence import evidence_of_all
from tests.world import START as BEGUN
from tests.world import World, catalogue, open_world

N_USERS = 10
UNKNOWN = "unknown item: load it first, or set LETHE_UNKNOWN_ITEMS=stub"


@dataclass
class _Dataset:
    """Ten users with a few books each, a line that cannot be read, a book that nobody knows."""

    items_total: int = 1
    interactions_total: int = 1
    remarks: tuple[str, ...] = ()
    file_names: tuple[str, str] = ("books", "lines")
    breaks_at: int = 0
    read_from: list[Position] = field(default_factory=list)

    def items(self, *, after: Position = START) -> Iterator[ItemRecord | BadLine]:
        for line, item in enumerate(catalogue(), start=1):
            if line > after.line:
                left_out = ("attributes.price: is not a number",) if line == 3 else ()
                yield ItemRecord(item, Position(line, line), left_out)

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        self.read_from.append(after)
        for line, one in enumerate(self._lines(), start=1):
            position = Position(line, line)
            if line == self.breaks_at:
                raise DependencyUnavailableError("the disk is gone")
            if line > after.line:
                yield (
                    InteractionRecord(one, position)
                    if one
                    else BadLine("lines", position, "not a line")
                )

    def _lines(self) -> Iterator[ReportedInteraction | None]:
        for user in range(N_USERS):
            for item in [one.item_id for one in catalogue()[user : user + 5]]:
                yield self._line(user, item)
        yield None
        yield self._line(0, ItemId("no-such-book"))

    def _line(self, user: int, item: ItemId) -> ReportedInteraction:
        return ReportedInteraction(
            user=f"user-{user}",
            event_id=f"{user}-{item}",
            kind=Kind.LIKE,
            occurred_at=BEGUN,
            item_id=item,
        )


@dataclass
class _Log:
    moved: list[tuple[str, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def watcher(self) -> LoadWatcher:
        return LoadWatcher(
            moved=lambda part, position: self.moved.append((part, position.line)),
            refused=lambda line: self.refused.append(f"{line.file}:{line.line}: {line.message}"),
            left_out=lambda line: self.left_out.append(f"{line.file}:{line.line}: {line.message}"),
        )


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("load")) as made:
        yield made


def _load(world: World, dataset: _Dataset, log: _Log) -> LoadResult:
    container, adapters = world.container, world.adapters
    service = LoadService(
        uows=adapters.uows,
        catalogue=container.catalogue,
        ingest=container.ingest,
        identity=adapters.identity,
        clock=adapters.clock,
        batch=8,
    )
    return service.load(dataset, name="books:/a/folder", watcher=log.watcher())


@dataclass
class _HeldUp(_Dataset):
    """The same, while somebody else writes for longer than a lock is waited for (5 s)."""

    other: sqlite3.Connection | None = None

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        assert self.other is not None
        self.other.execute("BEGIN IMMEDIATE")
        threading.Timer(6.0, self.other.rollback).start()
        yield from super().interactions(after=after)


def test_a_batch_waits_for_whoever_writes_for_long(world: World) -> None:
    database = world.adapters.settings.data_dir / "lethe.db"
    with closing(sqlite3.connect(database, check_same_thread=False)) as other:
        result = _load(world, _HeldUp(other=other), _Log())

    assert result.accepted == 50


def test_all_that_is_good_is_loaded_and_the_rest_is_named(world: World) -> None:
    dataset, log = _Dataset(), _Log()

    result = _load(world, dataset, log)
    again = _load(world, dataset, _Log())

    assert (result.items, result.accepted, result.bad) == (60, 50, 2)
    assert (again.accepted, again.duplicate, again.bad) == (0, 50, 2)
    assert result.left_out == again.left_out == 1
    assert log.left_out == ["books:3: attributes.price: is not a number"]
    assert log.refused == ["lines:51: not a line", "lines:52: " + UNKNOWN]
    told = [line for part, line in log.moved if part == "interactions"]
    assert told == [8, 16, 24, 32, 40, 48, 52]
    with world.adapters.uows.read() as uow:
        assert len(evidence_of_all(uow)) == N_USERS


def test_a_load_that_broke_off_goes_on_behind_the_last_whole_batch(world: World) -> None:
    dataset = _Dataset(breaks_at=30)

    with pytest.raises(DependencyUnavailableError):
        _load(world, dataset, _Log())
    dataset.breaks_at = 0
    result = _load(world, dataset, _Log())

    assert dataset.read_from == [START, Position(16, 16)]
    assert result.accepted + result.duplicate == 34
    with world.adapters.uows.read() as uow:
        assert sum(map(len, evidence_of_all(uow).values())) == 50
