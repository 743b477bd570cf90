"""A restore makes no liar of the operator: nothing that was signed is ever contradicted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest

from app.bootstrap.adapters import Adapters
from app.bootstrap.services import container_of
from app.data import verify_lethe
from app.domain.audit.checkpoint import SignedNote
from app.domain.audit.merkle import leaf_hash
from app.domain.audit.succession import Why
from app.domain.erasure.scope import AllScope
from app.domain.errors import LogBehindError, LogForkedError, RequestLostError
from app.domain.models import RequestId
from app.services.audit.certificates import commit
from app.services.audit.continuity import Standing
from app.services.erasure.requests import ForgetCommand
from tests.world import MovedClock, World, catalogue, open_world, settings_for

PEOPLE: Final = [f"reader-{number:02d}" for number in range(20)]
SEA: Final = [f"sea-{number:02d}" for number in range(3)]


@dataclass
class Papers:
    """What left the service: each file as its holder saved it."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    requests: dict[str, RequestId] = field(default_factory=dict)
    key: str = ""

    def save(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        self.files.append(path)

    def verify(self, *more: Path) -> int:
        """Run the auditor's script over all of it."""
        return verify_lethe.main([*map(str, [*self.files, *more]), "--key", self.key])


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    with open_world(folder) as world:
        world.container.feed.start()
        yield world
        world.container.feed.stop()


def forget(world: World, papers: Papers, people: list[str], *, label: str) -> None:
    """Erase people; keep each receipt, each certificate and the newest checkpoint."""
    for name in people:
        accepted = world.container.forget.accept(
            ForgetCommand(pseudonym=world.user(name), scope=AllScope(), about=commit(name))
        )
        papers.requests[name] = accepted.request.request_id
        # Laid out as json.dump does it: what is signed is computed, not demanded.
        text = json.dumps(accepted.receipt.to_json(), indent=2)
        papers.save(f"receipt-{label}-{name}.json", text)
    finish(world)
    for name in people:
        certificate = world.container.forget.status(papers.requests[name]).certificate
        assert certificate is not None
        papers.save(f"certificate-{label}-{name}.json", certificate)
    papers.save(f"checkpoint-{label}.txt", world.container.checkpoints.newest().note.encode())
    papers.key = world.container.checkpoints.public_key()


def finish(world: World) -> None:
    world.settle()
    world.container.sweep.sweep(take_over_after_s=0.0)


def export(world: World, path: Path) -> Path:
    """Save the log, and the checkpoint over all of it."""
    size = world.container.checkpoints.make()
    assert size is not None
    lines = world.container.audit.export(size=size.checkpoint.size)
    path.write_bytes(b"".join(lines))
    path.with_suffix(".txt").write_text(size.note.encode())
    return path


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Papers]:
    """Twenty people erased after a backup; what was handed out, the data, and the backup."""
    folder = tmp_path_factory.mktemp("log")
    papers = Papers(folder / "papers")
    papers.folder.mkdir()
    with opened(folder / "now") as world:
        world.container.catalogue.upsert(catalogue())
        for name in [*PEOPLE, "early", "late"]:
            world.read(name, SEA)
        forget(world, papers, ["early"], label="before")
    shutil.copytree(folder / "now", folder / "backup")
    with opened(folder / "now") as world:
        forget(world, papers, PEOPLE, label="lost")
        export(world, papers.folder / "old.ndjson")
    return folder / "now", folder / "backup", papers


@pytest.fixture
def restored(lives: tuple[Path, Path, Papers], tmp_path: Path) -> tuple[Path, Papers]:
    """The data directory with rows and vectors from the backup, vault and keys as they were."""
    now, backup, papers = lives
    folder = tmp_path / "now"
    shutil.copytree(now, folder)
    settle(folder)
    bring_back(folder, backup)
    return folder, Papers(tmp_path, list(papers.files), dict(papers.requests), papers.key)


def settle(folder: Path) -> None:
    """Make the copy that a test works on the original."""
    home = folder / "keys" / "home"
    home.write_text(str(home.stat().st_ino))


def bring_back(folder: Path, backup: Path) -> None:
    for path in [*folder.glob("lethe.db*"), folder / "chroma"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in backup.glob("lethe.db*"):
        shutil.copy2(path, folder)
    shutil.copytree(backup / "chroma", folder / "chroma")


def test_the_drill_snapshot_erasures_restore_replay_and_everything_ever_issued_verifies(
    restored: tuple[Path, Papers], lives: tuple[Path, Path, Papers]
) -> None:
    folder, papers = restored
    with opened(folder) as world:
        assert not world.container.health.readiness().is_ready
        finish(world)
        assert world.container.restore.check()
        assert world.container.health.readiness().is_ready
        assert world.container.audit_check.check().is_whole
        assert world.container.reconcile.check().is_consistent
        forget(world, papers, ["late"], label="after")
        new_log = export(world, papers.folder / "new.ndjson")
        (told,) = world.container.succession.history()
        assert (told.why, told.old_origin) == (Why.RESTORED, "lethe")
        with pytest.raises(RequestLostError) as lost:
            world.container.forget.status(papers.requests[PEOPLE[0]])
        assert lost.value.successor == told.origin

    assert papers.verify(new_log, new_log.with_suffix(".txt")) == 0
    old_log = lives[2].folder / "old.ndjson"
    assert lives[2].verify(old_log, old_log.with_suffix(".txt")) == 0


def test_what_the_successor_does_not_admit_is_found_by_whoever_has_it(
    restored: tuple[Path, Papers], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, papers = restored
    with opened(folder) as world:
        finish(world)
        new_log = export(world, papers.folder / "new.ndjson")
    lines = [json.loads(line) for line in new_log.read_text().splitlines()]
    (number,) = (one["seq"] for one in lines if "log.succeeded" in one["leaf"])
    body = json.loads(lines[number]["leaf"])
    body["payload"]["old_size"] -= 1
    lines[number]["leaf"] = json.dumps(body, sort_keys=True, separators=(",", ":"))
    lines[number]["leaf_hash"] = leaf_hash(lines[number]["leaf"].encode()).hex()
    new_log.write_text("".join(json.dumps(one) + "\n" for one in lines))

    assert papers.verify(new_log, new_log.with_suffix(".txt")) == 1
    assert "tells of a succession that cannot be" in capsys.readouterr().out


def test_behind_what_was_signed_nothing_is_signed(restored: tuple[Path, Papers]) -> None:
    folder, _ = restored
    with opened(folder) as world:
        uows, checkpoints = world.adapters.uows, world.container.checkpoints
        size = checkpoints.newest().checkpoint.size
        note = world.adapters.ledger.newest()
        assert note is not None
        number = checkpoints.continuity.number(checkpoints.newest().checkpoint.origin)
        world.adapters.ledger.note_head(number, size=size + 1_000, note=moved(note, size + 1_000))

        assert world.container.succession.standing() is Standing.BEHIND
        with pytest.raises(LogBehindError):
            checkpoints.make()
        with uows.write() as uow, pytest.raises(LogBehindError):
            checkpoints.origin(uow)
        assert not world.container.health.readiness().is_ready


def moved(note: SignedNote, size: int) -> SignedNote:
    """The checkpoint of a larger log, as the ledger would have it."""
    lines = note.text.split("\n")
    return replace(note, text="\n".join([lines[0], str(size), *lines[2:]]))


def test_leaves_are_brought_back_from_an_export_and_the_log_goes_on_under_its_name(
    restored: tuple[Path, Papers], lives: tuple[Path, Path, Papers]
) -> None:
    folder, papers = restored
    old_log = lives[2].folder / "old.ndjson"
    with before_its_start(folder) as world:
        with old_log.open("rb") as lines:
            done = world.container.succession.recover(lines)
        assert done.size == len(old_log.read_bytes().splitlines())
    with opened(folder) as world:
        finish(world)
        assert world.container.restore.check()
        assert world.container.succession.history() == []
        assert world.container.audit_check.check().is_whole
        assert world.container.reconcile.check().is_consistent
        with pytest.raises(RequestLostError):
            world.container.forget.status(papers.requests[PEOPLE[0]])
        new_log = export(world, papers.folder / "new.ndjson")

    assert papers.verify(new_log, new_log.with_suffix(".txt")) == 0


@contextmanager
def before_its_start(folder: Path) -> Iterator[World]:
    """Open as a command does: without the check of a start, which would open a successor."""
    with ExitStack() as closing:
        adapters = Adapters(settings_for(folder), closing)
        yield World(adapters, container_of(adapters), MovedClock(), {})


def test_a_copy_of_the_whole_directory_goes_on_under_another_name(
    lives: tuple[Path, Path, Papers], tmp_path: Path
) -> None:
    shutil.copytree(lives[0], tmp_path / "copy")
    with opened(tmp_path / "copy") as world:
        (told,) = world.container.succession.history()
        assert told.why == Why.COPIED
        assert world.container.checkpoints.newest().checkpoint.origin == told.origin
        assert world.container.health.readiness().is_ready
    with opened(tmp_path / "copy") as world:
        assert len(world.container.succession.history()) == 1


def test_two_histories_that_were_both_signed_stop_the_signing(
    restored: tuple[Path, Papers],
) -> None:
    """An older version, or a hand at the vault, signed on: nothing makes that good any more."""
    folder, _ = restored
    with before_its_start(folder) as world:
        head = world.adapters.ledger.newest()
        assert head is not None
        with world.adapters.uows.write() as uow:
            for _ in range(300):
                world.container.audit._note_read(uow, after=-1, returned=0)  # noqa: SLF001
            world.container.checkpoints.sign_as(uow, "lethe")
            uow.actions.clear()

        assert world.container.succession.standing() is Standing.FORKED
        with pytest.raises(LogForkedError):
            world.container.restore.check()
        with pytest.raises(LogForkedError):
            world.container.checkpoints.make()
        assert world.container.health.readiness().dependencies["log"].status == "log_forked"
