"""Full disks, held files and damaged shards: the erasure waits and says so, others are served."""

from __future__ import annotations

import io
import resource
import secrets
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from app.adapters.chroma import memory as chroma_memory
from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import collection_name, memory_family, shard_of
from app.adapters.chroma.maintenance import DATABASE_FILE
from app.adapters.chroma.maintenance_process import MaintenanceReport, run_maintenance
from app.domain.erasure.request import ErasureOrder, ErasureRequest, RequestState
from app.domain.erasure.scope import AllScope
from app.domain.models import RequestId
from app.services.erasure.requests import ForgetCommand
from app.services.recommendation.query import RecommendQuery
from tests.world import World, open_world

SEA: Final = [f"sea-{number:02d}" for number in range(6)]
WORDS: Final = "read at night"
N_SHARDS: Final = 2
PEPPER: Final = "0123456789abcdef" * 2
"""Decides who lies in which shard."""
_HOLD: Final = """if True:
    import sqlite3, sys
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT COUNT(*) FROM embeddings").fetchone()
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service with readers, and a user in each shard: one of whom is to go."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    with open_world(folder, pepper=PEPPER) as world:
        world.populate(text=WORDS)
        names = [_in_shard(world, shard) for shard in range(N_SHARDS)]
        for name in names:
            world.read(name, SEA, text=WORDS)
        world.container.search.search([])  # plants the canary
        # Small ones lie in Chroma's queue, and their index files are empty.
        world.adapters.memory.maintain([world.user(name) for name in names])
        world.container.feed.stop()
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    return shutil.copytree(filled, tmp_path / "data")


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    with opened(folder) as world:
        yield world


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    with open_world(folder, pepper=PEPPER) as world:
        world.container.feed.start()
        yield world
        world.container.feed.stop()


def _in_shard(world: World, shard: int, *, kind: str = "user") -> str:
    """Return the name of a user whose memories lie in a shard."""
    names = (f"{kind}-{n}" for n in range(1_000))
    return next(one for one in names if shard_of(world.user(one), n_shards=N_SHARDS) == shard)


def forget(world: World, name: str) -> RequestId:
    command = ForgetCommand(pseudonym=world.user(name), scope=AllScope())
    return world.container.forget.accept(command).request.request_id


def status(world: World, request_id: RequestId) -> ErasureRequest:
    return world.container.forget.status(request_id).request


def require_waiting(world: World, request_id: RequestId, *, code: str) -> None:
    """Check that an erasure was put off by an outage, and that nobody is told it is done."""
    found = world.container.forget.status(request_id)
    assert found.request.state in {RequestState.ERASING, RequestState.VERIFYING}
    assert (found.request.error_code, found.request.outages) == (code, 1)
    assert found.certificate is None


def require_served(world: World, name: str, *, writes: bool = True) -> None:
    """Check that a user gets a list of their own, and that what they do is remembered."""
    query = RecommendQuery(pseudonym=world.user(name), n=5)
    assert world.container.recommend.recommend(query).is_personalised
    book = f"stars-{secrets.randbelow(15):02d}"
    assert not writes or world.read(name, [book], text=WORDS)[0] == 1


def require_completed(world: World, request_id: RequestId) -> None:
    """Check that the next attempt completes."""
    world.clock.ahead += timedelta(seconds=0.6)
    assert world.erase(request_id), status(world, request_id)
    assert world.container.forget.status(request_id).certificate is not None


@contextmanager
def full_above(n_bytes: int) -> Iterator[None]:
    """Let no file of this process or of one it starts grow beyond; Python ignores the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.small_disk
def test_an_erasure_waits_for_a_disk_that_is_full_in_a_scrub(folder: Path) -> None:
    with small_disk(folder / "chroma"), opened(folder) as world:
        erase = world.adapters.memory.erase
        request_id = forget(world, _in_shard(world, 0))

        def on_full_disk(order: ErasureOrder) -> int:
            with full(folder / "chroma"):
                require_served(world, _in_shard(world, 1), writes=False)
                return erase(order)

        with world.answering("memory", "erase", on_full_disk):
            assert not world.erase(request_id)

        require_waiting(world, request_id, code="dependency_unavailable")
        require_served(world, _in_shard(world, 1))
        require_completed(world, request_id)


@contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """Move a directory to a file system of 32 MB. Needs the right to mount one."""
    kept = shutil.copytree(directory, directory.with_name("kept"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(directory)], check=True)
    try:
        shutil.copytree(kept, directory, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@contextmanager
def full(directory: Path) -> Iterator[None]:
    """Leave no byte free on a small disk."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        with pytest.raises(OSError, match="No space left"):
            _fill(stream)
        try:
            yield
        finally:
            ballast.unlink()


def _fill(stream: io.FileIO) -> None:
    while True:
        stream.write(bytes(4_096))


def test_an_erasure_waits_for_a_disk_that_is_full_in_a_vacuum(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = (folder / "chroma" / DATABASE_FILE).stat().st_size // 2
    request_id = forget(world, _in_shard(world, 0))

    def on_full_disk(directory: Path) -> MaintenanceReport:
        with full_above(half):
            return run_maintenance(directory)

    with monkeypatch.context() as patch:
        patch.setattr(chroma_memory, "run_maintenance", on_full_disk)
        assert not world.erase(request_id)

    require_waiting(world, request_id, code="dependency_unavailable")
    require_served(world, _in_shard(world, 1))
    require_completed(world, request_id)


def test_others_are_served_while_a_vacuum_is_refused_by_a_reader(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = forget(world, _in_shard(world, 0))
    waits: list[float] = []

    def beside_a_reader(directory: Path) -> MaintenanceReport:
        with asking(world, _in_shard(world, 1), waits), held(directory / DATABASE_FILE):
            return run_maintenance(directory)

    with monkeypatch.context() as patch:
        patch.setattr(chroma_memory, "run_maintenance", beside_a_reader)
        assert not world.erase(request_id)

    assert max(waits) < 30.0, waits
    require_waiting(world, request_id, code="dependency_unavailable")
    require_completed(world, request_id)


@contextmanager
def held(database: Path) -> Iterator[None]:
    """Let another process read the database in a transaction that does not end."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"held\n"
        yield
        assert reader.stdin is not None
        reader.stdin.close()


@contextmanager
def asking(world: World, name: str, waits: list[float]) -> Iterator[None]:
    """Ask for recommendations meanwhile; keep how long each took."""
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(0.1):
            started = time.monotonic()
            query = RecommendQuery(pseudonym=world.user(name), n=5)
            assert world.container.recommend.recommend(query).is_personalised
            waits.append(time.monotonic() - started)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize(
    "file", ["header.bin", "data_level0.bin", "link_lists.bin", "index_metadata.pickle"]
)
def test_damage_is_seen_in_each_file(folder: Path, file: str) -> None:
    with ChromaDatabase.embedded(folder / "chroma") as sound:
        assert sound.damaged == frozenset()
    damage(folder / "chroma", shard=0, file=file)

    with ChromaDatabase.embedded(folder / "chroma") as database:
        assert database.damaged == {"memory-00-g1"}


@pytest.mark.parametrize("file", ["header.bin", "data_level0.bin"])
def test_a_damaged_shard_is_left_alone_until_it_is_renewed(folder: Path, file: str) -> None:
    damage(folder / "chroma", shard=0, file=file)
    with opened(folder) as world:
        hurt, other = _in_shard(world, 0), _in_shard(world, 1)
        assert world.container.health.readiness().is_ready
        found = world.container.health.readiness().dependencies["memory"]
        assert (found.status, found.is_well) == ("store_damaged", False)
        require_served(world, other)
        world.container.recommend.recommend(RecommendQuery(pseudonym=world.user(hurt), n=5))
        assert world.read(_in_shard(world, 0, kind="new"), ["stars-16"], text=WORDS) == (1, 0, 0)
        mine, theirs = forget(world, hurt), forget(world, other)
        world.settle()
        completed = world.container.erase.execute(mine)
        assert status(world, mine).error_code == "store_damaged"
        # Where the canary is in the file, or its header no longer makes sense (random bytes may
        # by chance), it cannot be searched for anybody, and theirs waits as well.
        assert completed <= {theirs}
        assert completed or status(world, theirs).error_code == "store_damaged"

        done = world.container.restore.reindex([0])

        assert (done.shards, done.copied, done.emptied) == (1, 0, 1)
        assert world.container.health.readiness().dependencies["memory"].is_well
        # All but the deferred write, which the sweeper makes good.
        assert sum(map(len, world.adapters.memory.owners())) == n_rows(world) - 1
        world.clock.ahead += timedelta(seconds=0.6)
        completed |= world.container.erase.execute(mine)
        completed |= world.container.erase.execute(theirs)
        assert completed == {mine, theirs}


def damage(chroma: Path, *, shard: int, file: str) -> None:
    """Overwrite a part of an index file; nobody has the database open."""
    name = collection_name(memory_family(shard), generation=1)
    with closing(sqlite3.connect(chroma / DATABASE_FILE)) as connection:
        (segment,) = connection.execute(
            "SELECT segments.id FROM segments JOIN collections"
            " ON segments.collection = collections.id WHERE scope = 'VECTOR' AND name = ?",
            (name,),
        ).fetchone()
    path = chroma / segment / file
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.seek(size // 3)
        stream.write(secrets.token_bytes(min(1_000, size)))


def n_rows(world: World) -> int:
    with world.adapters.uows.read() as uow:
        return uow.interactions.count()
