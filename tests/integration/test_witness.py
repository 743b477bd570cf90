"""A second party signs only what continues: split view and rollback are refused, and by whom."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.cli.witness import WitnessServer
from app.data import verify_lethe
from app.domain.audit.checkpoint import SignedNote, tlog_proof
from app.domain.audit.entries import Leaf, LeafKind
from app.domain.audit.merkle import consistency_proof
from app.domain.audit.succession import Why
from app.domain.erasure.scope import AllScope
from app.services.audit.certificates import commit
from app.services.erasure.requests import ForgetCommand
from app.settings_groups import AuditSettings
from tests.audit_samples import AT, ORIGIN, SIGNER, MemoryLog, make_signer
from tests.world import World, catalogue, open_world

SEA = [f"sea-{number:02d}" for number in range(3)]


@contextmanager
def witness(folder: Path, log: str, *, name: str = "witness.example") -> Iterator[WitnessServer]:
    server = WitnessServer(("127.0.0.1", 0), folder=folder, name=name, logs=[log])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def url_of(server: WitnessServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def policy(folder: Path, log: str, server: WitnessServer) -> Path:
    path = folder / "policy.txt"
    path.write_text(
        f"log {log}\n"
        f"witness second {server.key} {url_of(server)}  # somebody else's machine\n"
        "group all-of-them all second\nquorum all-of-them\n"
    )
    return path


def ask(server: WitnessServer, log: MemoryLog, note: SignedNote, *, old: int) -> httpx.Response:
    def read_node(level: int, position: int) -> bytes:
        return next(h for at, h in log.nodes.items() if at == (level, position))

    size = log.frontier.size
    path = consistency_proof(old, second=size, read_node=read_node) if 0 < old <= size else ()
    proof = tlog_proof(0, path, note).split("\n", 2)[2]
    return httpx.post(f"{url_of(server)}/add-checkpoint", content=f"old {old}\n{proof}")


def test_a_split_view_is_refused_by_the_witness_and_then_by_the_verifier(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = SIGNER.key.encode()
    one, other = MemoryLog(), MemoryLog()
    one.fill(12)
    other.append(Leaf(LeafKind.USER_PROVED, AT, None, {}))
    other.fill(16)
    with witness(tmp_path / "w", key) as server:
        seen = ask(server, one, one.checkpoint(), old=0)
        refused = ask(server, other, other.checkpoint(), old=one.frontier.size)
        paths = policy(tmp_path, key, server)
    assert (seen.status_code, refused.status_code) == (200, 422)
    for name, log, lines in (("one", one, seen.text), ("other", other, "")):
        (tmp_path / f"{name}.txt").write_text(log.checkpoint().encode() + lines)
        (tmp_path / f"{name}.ndjson").write_bytes(log.export())
    codes = []
    for name in ("one", "other"):
        files = [str(tmp_path / f"{name}.{end}") for end in ("txt", "ndjson")]
        assert verify_lethe.main([*files, "--key", key]) == 0
        codes.append(verify_lethe.main([*files, "--policy", str(paths)]))
    assert codes == [0, 2]
    assert "fewer witnesses than the policy asks for have seen it" in capsys.readouterr().out


def test_the_witness_says_why_it_refuses(tmp_path: Path) -> None:
    log = MemoryLog()
    log.fill(5)
    with witness(tmp_path / "w", SIGNER.key.encode()) as server:
        assert ask(server, log, log.checkpoint(make_signer(2)), old=0).status_code == 403
        assert ask(server, log, log.checkpoint(), old=0).status_code == 200
        behind = ask(server, log, log.checkpoint(), old=3)
        assert (behind.status_code, behind.text) == (409, "5\n")
        assert behind.headers["content-type"] == "text/x.tlog.size"
        assert ask(server, log, log.checkpoint(), old=5).status_code == 200
        assert ask(server, log, log.checkpoint(), old=9).status_code == 400
        elsewhere = SignedNote(log.checkpoint().text.replace(ORIGIN, "x")).signed(SIGNER.sign)
        assert ask(server, log, elsewhere, old=0).status_code == 404
    with witness(tmp_path / "w", SIGNER.key.encode()) as again:  # what it saw is on its disk
        assert ask(again, log, log.checkpoint(), old=0).status_code == 409


def test_a_flipped_cosignature_is_wrong_and_a_missing_one_inconclusive(tmp_path: Path) -> None:
    log = MemoryLog()
    log.fill(5)
    with witness(tmp_path / "w", SIGNER.key.encode()) as server:
        line = ask(server, log, log.checkpoint(), old=0).text
        path = policy(tmp_path, SIGNER.key.encode(), server)
    note = tmp_path / "checkpoint.txt"
    at = len(line) - 20
    flipped = line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :]
    for lines, code in ((line, 0), (flipped, 1), ("", 2)):
        note.write_text(log.checkpoint().encode() + lines)
        assert verify_lethe.main([str(note), "--policy", str(path)]) == code


@contextmanager
def opened(folder: Path, path: Path) -> Iterator[World]:
    with open_world(folder, audit=AuditSettings(policy=path)) as world:
        world.container.feed.start()
        yield world
        world.container.feed.stop()


def erase(world: World, name: str, folder: Path) -> tuple[Path, Path]:
    """Erase somebody; save the certificate and its proof under what the witness has seen."""
    command = ForgetCommand(pseudonym=world.user(name), scope=AllScope(), about=commit(name))
    request_id = world.container.forget.accept(command).request.request_id
    world.settle()
    world.container.sweep.sweep(take_over_after_s=0.0)
    world.container.witnessing.ask()
    certificate = world.container.forget.status(request_id).certificate
    assert certificate is not None
    seen = world.container.witnessing.newest_seen()
    seq = json.loads(certificate)["proof"]["index"]
    proof = world.container.checkpoints.prove_signed(seq, size=None, newest=seen)
    files = folder / f"{name}.json", folder / f"{name}.tlog-proof"
    files[0].write_text(certificate)
    files[1].write_text(tlog_proof(seq, proof.path, seen.note))
    return files


def test_a_rollback_of_everything_is_told_by_the_witness_and_every_certificate_stays_good(
    tmp_path: Path,
) -> None:
    """A copy block by block, vault and key included: on this one host nothing knows more."""
    now, backup = tmp_path / "now", tmp_path / "backup"
    with open_world(now) as world:
        world.container.catalogue.upsert(catalogue())
        for name in ("anna", "bert", "carl"):
            world.read(name, SEA)
        key = world.container.checkpoints.public_key()
    with witness(tmp_path / "w", key) as server:
        path = policy(tmp_path, key, server)
        with opened(now, path) as world:
            papers = [erase(world, "anna", tmp_path)]
            assert verify_lethe.main([*map(str, papers[0]), "--policy", str(path)]) == 0
            assert verify_lethe.main([str(papers[0][0]), "--policy", str(path)]) == 2
        shutil.copytree(now, backup)
        with opened(now, path) as world:
            papers.append(erase(world, "bert", tmp_path))
        home = backup / "keys" / "home"
        home.write_text(str(home.stat().st_ino))
        with opened(backup, path) as world:
            world.container.witnessing.ask()
            (told,) = world.container.succession.history()
            assert (told.why, told.old_size > told.kept) == (Why.WITNESSED, True)
            papers.append(erase(world, "carl", tmp_path))
            size = world.container.checkpoints.make()
            assert size is not None
            log, note = tmp_path / "log.ndjson", tmp_path / "checkpoint.txt"
            log.write_bytes(b"".join(world.container.audit.export(size=size.checkpoint.size)))
            note.write_text(size.note.encode())

    for certificate, proof in papers:
        assert verify_lethe.main([str(certificate), str(proof), "--policy", str(path)]) == 0
    certificates = [str(certificate) for certificate, _ in papers]
    assert verify_lethe.main([*certificates, str(log), str(note), "--key", key]) == 0
