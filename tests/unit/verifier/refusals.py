"""Everything that can be done to what Lethe gives out, done; and who refuses it, in which words.

``python -m tests.unit.verifier.refusals`` writes the table into ``docs/audit.md``.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from app.adapters.db import schema
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.system.signing import FileSigner, is_signed
from app.data.verify_lethe import (
    WITNESS,
    Checkpoint,
    Key,
    Report,
    check_tlog_proof,
    open_checkpoint,
    parse_key,
    parse_policy,
    verify_document,
    verify_log,
)
from app.domain.audit.checkpoint import tlog_proof
from app.domain.audit.entries import Leaf, LeafKind
from app.domain.certificates.certificate import Certificate
from app.services.audit.integrity_check import AuditCheckService
from tests.audit_samples import (
    AT,
    ORIGIN,
    SALT,
    SIGNER,
    MemoryLog,
    completion_leaf,
    make_certificate,
    make_receipt,
    make_statement,
    rotated,
)

PAGE: Final = Path(__file__).parents[3] / "docs" / "audit.md"
BLOCK: Final = re.compile(r"(?<=<!-- refusals -->\n).*?(?=<!-- /refusals -->)", re.DOTALL)
PINNED: Final = [parse_key(SIGNER.key.encode())]
N_LEAVES: Final = 12
Check = Callable[[bytes], Report]


def as_report(check: Callable[[str], Checkpoint | tuple[str, str]], data: bytes) -> Report:
    """Check a part of a document alone, as the verifier does it with the rest around it."""
    report = Report()
    with report.check("checkpoint or proof"):
        try:
            check(data.decode())
        except UnicodeDecodeError:
            report.wrong("form", "not UTF-8")
    return report


def artefacts() -> Iterator[tuple[str, bytes, Check]]:
    """Yield what is given out: its name, its bytes, and the check of it."""
    document = partial(verify_document, pinned=PINNED)
    yield (
        "a certificate, of a rotated key",
        make_certificate(signer=rotated(SIGNER, 2)).encode(),
        document,
    )
    yield "a receipt", make_receipt().encode(), document
    log = MemoryLog()
    log.fill(N_LEAVES)
    index = log.append(completion_leaf(make_statement()))
    log.fill(3)
    shown = log.prove(index)
    signed = Certificate.issue(make_statement(), proof=shown, salt=SALT, signer=SIGNER)
    certified = json.loads(signed.encode())
    note = shown.checkpoint.encode()
    yield (
        "a checkpoint",
        note.encode(),
        partial(as_report, lambda text: open_checkpoint(text, PINNED)),
    )
    proof = tlog_proof(index, shown.path, shown.checkpoint).encode()
    yield (
        "a `.tlog-proof`",
        proof,
        partial(as_report, lambda text: check_tlog_proof(certified, text, PINNED)),
    )
    name = f"an exported log of {len(log.leaves)} leaves"
    yield name, log.export(), partial(verify_log, notes=[note], pinned=PINNED)


def flips(data: bytes, check: Check) -> tuple[set[str], list[int]]:
    """Flip each byte's lowest bit; return which checks refused first, and what none refused."""
    refused, missed = set[str](), list[int]()
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        wrong = [line for line in check(damaged).lines if line.startswith("WRONG")]
        if wrong:
            refused.add(wrong[0][len("WRONG  ") :].partition(":")[0])
        else:
            missed.append(at)
    return refused, missed


def said(report: Report) -> str:
    """Return the first thing that keeps a report from being a verified one."""
    bad = [line for line in report.lines if not line.startswith("ok")]
    return bad[0].split(maxsplit=1)[1] if bad else ""


def forgeries() -> Iterator[tuple[str, str, str]]:
    """Yield what is done with the right key, who refuses it, and what they say."""
    ours, theirs, older = MemoryLog(), MemoryLog(), MemoryLog()
    older.fill(N_LEAVES)
    ours.fill(N_LEAVES + 4)
    theirs.fill(N_LEAVES)
    theirs.append(*[Leaf(LeafKind.USER_PROVED, AT, None, {})] * 4)
    notes = [log.checkpoint().encode() for log in (ours, theirs)]
    forked = verify_log(ours.export(), notes=notes, pinned=PINNED)
    yield "a fork: two histories of one log are signed", "the verifier, given both", said(forked)
    witness = Key("witness.example", PINNED[0].public, WITNESS)
    policy = parse_policy(f"witness second {witness}\nquorum second\n")
    split = verify_log(theirs.export(), notes=notes[1:], pinned=PINNED, policy=policy)
    yield "a split view: each is shown one of them", "the verifier, by its policy", said(split)
    rolled = verify_log(older.export(), notes=notes[:1], pinned=PINNED)
    who = "the verifier, given the newer checkpoint"
    yield "a rollback: the log is an older one", who, said(rolled)
    what = "a replaced trigger: of the same name, and does nothing"
    yield what, "`lethe audit verify`, and every start", replaced_trigger()


def replaced_trigger() -> str:
    """Let the database's owner put a trigger in another's place; return what the service says."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/lethe.db"
        schema.upgrade(url)
        signer = FileSigner(Path(folder) / "keys", name=ORIGIN)
        signer.create()
        engine = open_engine(url)
        checker = AuditCheckService(uows=SqlUnitsOfWork(engine), signer=signer, is_signed=is_signed)
        before = checker.check()
        with engine.begin() as connection:
            name = "audit_leaf_refuses_update"
            connection.execute(sa.text(f"DROP TRIGGER {name}"))
            nothing = f"CREATE TRIGGER {name} BEFORE UPDATE ON audit_leaf BEGIN SELECT 1; END"
            connection.execute(sa.text(nothing))
        after = checker.check()
        engine.dispose()
    return "" if before.problems else " ".join(after.problems)


def table() -> str:
    """Return the table; a cell that is empty is something that nobody refused."""
    rows = []
    for name, data, check in artefacts():
        refused, missed = flips(data, check)
        told = "" if missed else ", ".join(sorted(refused))
        rows.append((f"any byte of {name} is changed", "the verifier, by its checks", told))
    rows += [(what, who, f"`{words}`" if words else "") for what, who, words in forgeries()]
    lines = ["| what is done | what refuses it | which, or in which words |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda _: table(), PAGE.read_text(encoding="utf-8")), "utf-8")
