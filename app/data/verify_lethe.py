"""Check what Lethe gave out: receipts, certificates, logs, checkpoints; offline, in one file.

    python verify_lethe.py FILE... --key KEY [--subject USER]
    python verify_lethe.py certificate.json leaves.ndjson checkpoint.txt --key KEY

FILE is a receipt, a certificate, an exported log, a checkpoint or a .tlog-proof, in whatever
layout it was saved; what is given together is compared with each other. KEY is the service's
public key, ``name+id+base64``, or a file of such lines; get it on a way that whoever gave you the
document does not control. ``--policy`` takes a c2sp.org/tlog-policy file: log keys, witnesses, and
how many of which must have seen a checkpoint. Needs Python 3.11 and the package ``cryptography``;
no network, and nothing else of Lethe: that is the point of it.

Exit code: 0 all is well and signed by KEY; 1 something is wrong, and is named; 2 nothing could be
concluded (unreadable file, wrong usage, no KEY, no salt where one is needed, no witness where the
policy asks for one).

Sources: RFC 9162 section 2.1 (tree and proofs), c2sp.org/signed-note, tlog-checkpoint,
tlog-cosignature, tlog-proof and tlog-policy, RFC 8785 (canonical JSON), RFC 8032 (Ed25519).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import json
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EMPTY_ROOT = hashlib.sha256(b"").digest()
CERTIFICATE, RECEIPT = "lethe-certificate/v1", "lethe-receipt/v1"
ROTATION = "lethe-key-rotation/v1"
KEY_LINE = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})")
LOG, WITNESS = b"\x01", b"\x04"  # signature types of c2sp.org/signed-note: Ed25519, cosignature/v1
TLOG_PROOF = "c2sp.org/tlog-proof@v1"
SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
SIZE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
T = TypeVar("T")


class Wrong(Exception):  # noqa: N818 - read as a sentence: raise Wrong("the signature ...")
    """What was checked is not as it should be; the message names it."""


class Unknown(Exception):  # noqa: N818 - as above
    """What is needed to check it was not given."""


@dataclass
class Report:
    """What was checked, and what was found."""

    lines: list[str] = field(default_factory=list)
    n_wrong: int = 0
    n_unknown: int = 0

    def ok(self, name: str, detail: str) -> None:
        """Note that a check held."""
        self.lines.append(f"ok     {name}: {detail}")

    def wrong(self, name: str, detail: str) -> None:
        """Note that a check failed."""
        self.lines.append(f"WRONG  {name}: {detail}")
        self.n_wrong += 1

    @contextmanager
    def check(self, name: str) -> Iterator[None]:
        """Note a failure inside the block and go on: each check says its own."""
        try:
            yield
        except Wrong as error:
            self.wrong(name, str(error))
        except Unknown as error:
            self.lines.append(f"?      {name}: {error}")
            self.n_unknown += 1


def refuse(message: str) -> NoReturn:
    """Fail the present check."""
    raise Wrong(message)


# --- Canonical JSON -----------------------------------------------------------------------


def canonical(value: object) -> bytes:
    """Return the one form of ``value`` (RFC 8785 without fractions)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse(data: bytes) -> object:
    """Read JSON in any layout; what is signed is computed from it."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) != len(pairs):
            refuse("a name occurs twice in one object")
        return dict(pairs)

    def no_fraction(text: str) -> NoReturn:
        refuse(f"{text[:20]} is not a whole number")

    try:
        value: object = json.loads(
            data.decode(),
            parse_float=no_fraction,
            parse_constant=no_fraction,
            object_pairs_hook=unique,
        )
        canonical(value)  # or text in it that is no text
    except (ValueError, RecursionError):
        cut = "cut off" if not data.rstrip().endswith(b"}") else "damaged"
        refuse(f"not JSON: {cut}")
    return value


def take(value: object, path: str, kind: type[T]) -> T:
    """Return the field at a dotted path, of that type."""
    here = value
    for part in path.split("."):
        if not isinstance(here, dict) or part not in here:
            refuse(f"{path}: missing")
        here = here[part]
    if not isinstance(here, kind) or (isinstance(here, bool) and kind is not bool):
        refuse(f"{path}: not of the right type")
    return here


def unbase64(text: str, name: str) -> bytes:
    """Decode base64 that is spelt in the one right way."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        refuse(f"{name}: not base64")
    return data


# --- Keys and notes -----------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A public key: name, 32 bytes, and whether a log or a witness signs with it."""

    name: str
    public: bytes
    kind: bytes = LOG

    @property
    def key_id(self) -> bytes:
        """Return the id by which signature lines call it."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:4]

    def __str__(self) -> str:
        encoded = base64.b64encode(self.kind + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over the message."""
        if self.kind == WITNESS:
            at, signature = signature[:8], signature[8:]
            message = b"cosignature/v1\ntime %d\n" % int.from_bytes(at) + message
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def parse_key(text: str) -> Key:
    """Read ``name+id+base64``."""
    match = KEY_LINE.fullmatch(text)
    data = unbase64(match[3], "key") if match else b""
    key = Key(match[1], data[1:], data[:1]) if match and data[:1] in {LOG, WITNESS} else None
    if key is None or str(key) != text:
        refuse("not a key of the form name+id+base64")
    return key


def open_note(note: str, keys: Sequence[Key]) -> tuple[str, list[Key]]:
    """Return a note's text and which of ``keys`` signed it; refuse a signature that is wrong."""
    text, blank, below = note.rpartition("\n\n")
    if not blank or not below.endswith("\n"):
        refuse("malformed, or cut off")
    text += "\n"
    signers = []
    for line in below.removesuffix("\n").split("\n"):
        match = SIGNATURE_LINE.fullmatch(line)
        if match is None:
            refuse("a signature line is malformed")
        data = unbase64(match[2], "a signature line")
        for key in keys:
            if (key.name, key.key_id) == (match[1], data[:4]):
                if not key.has_signed(text.encode(), data[4:]):
                    refuse(f"the signature of {key.name}+{key.key_id.hex()} does not fit the text")
                signers.append(key)
    return text, signers


def trusted_keys(pinned: Sequence[Key], history: Sequence[str]) -> list[Key]:
    """Return ``pinned`` and the keys that a chain of rotations, signed by both, leads to."""
    trusted = list(pinned)
    for note in history:
        match note.split("\n")[:3]:
            case [header, old_line, new_line] if header == ROTATION:
                old, new = parse_key(old_line), parse_key(new_line)
            case _:
                refuse("not a statement of key rotation")
        if old in trusted and new not in trusted:
            _, signers = open_note(note, [old, new])
            if old not in signers or new not in signers:
                refuse("a key rotation is not signed by both keys")
            trusted.append(new)
    return trusted


@dataclass(frozen=True)
class Checkpoint:
    """A log's name, size and root."""

    origin: str
    size: int
    root: bytes


def open_checkpoint(note: str, keys: Sequence[Key]) -> Checkpoint:
    """Read a checkpoint that one of ``keys`` signed."""
    text, signers = open_note(note, keys)
    if not any(key.kind == LOG for key in signers):
        refuse("wrong key: signed by no key that is trusted")
    match text.split("\n"):
        case [origin, size, root, ""] if SIZE.fullmatch(size):
            return Checkpoint(origin, int(size), unbase64(root, "the root"))
    refuse("not the three lines origin, size, root")


# --- Witnesses ----------------------------------------------------------------------------


@dataclass
class Policy:
    """Which logs to believe, and how many of which witnesses (c2sp.org/tlog-policy)."""

    logs: list[Key] = field(default_factory=list)
    witnesses: dict[str, Key] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str | None = None

    def is_met(self, signers: Sequence[Key]) -> bool:
        """Whether enough of the witnesses are among ``signers``."""
        return self.quorum is None or self._has_signed(self.quorum, signers)

    def _has_signed(self, name: str, signers: Sequence[Key]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name] in signers
        needed, members = self.groups[name]
        return sum(self._has_signed(each, signers) for each in members) >= needed

    def require(self, notes: Sequence[str]) -> str:
        """Check that one of these checkpoints was seen by enough witnesses; name them."""
        for note in notes:
            _, signers = open_note(note, list(self.witnesses.values()))
            if self.is_met(signers):
                return f"seen by {', '.join(key.name for key in signers) or 'as many as asked for'}"
        raise Unknown("fewer witnesses than the policy asks for have seen it")


def parse_policy(text: str) -> Policy:
    """Read a policy; each name has to be defined before it is used."""
    policy = Policy()
    for number, line in enumerate(text.splitlines(), start=1):
        known = policy.witnesses.keys() | policy.groups.keys()
        match line.partition("#")[0].split():
            case []:
                pass
            case ["log", key, *_]:
                policy.logs.append(parse_key(key))
            case ["witness", name, key, *_] if parse_key(key).kind == WITNESS:
                policy.witnesses[name] = parse_key(key)
            case ["group", name, count, *members] if members and known.issuperset(members):
                counts = {"any": 1, "all": len(members)}
                needed = counts.get(count) or (int(count) if SIZE.fullmatch(count) else 0)
                if not 0 < needed <= len(members):
                    refuse(f"policy, line {number}: not a number of members")
                policy.groups[name] = needed, members
            case ["quorum", name] if name == "none" or name in known:
                policy.quorum = None if name == "none" else name
            case _:
                refuse(f"policy, line {number}: not understood")
    return policy


# --- The tree -----------------------------------------------------------------------------


def leaf_hash(body: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of_path(leaf: bytes, *, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to, RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        refuse(f"the log of {size} leaves has no leaf {index}")
    here, last, result = index, size - 1, leaf
    for step in path:
        if last == 0:
            refuse("the inclusion proof is too long")
        if here & 1 or here == last:
            result = node_hash(step, result)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            result = node_hash(result, step)
        here, last = here >> 1, last >> 1
    if last:
        refuse("the inclusion proof is too short")
    return result


def roots(hashes: Sequence[bytes], sizes: Sequence[int]) -> dict[int, bytes]:
    """Return the tree's root at each of ``sizes``."""
    found, peaks = {0: EMPTY_ROOT}, list[bytes]()
    for size, hashed in enumerate(hashes, start=1):
        carried = hashed
        for _ in range(((size - 1) ^ size).bit_length() - 1):
            carried = node_hash(peaks.pop(), carried)
        peaks.append(carried)
        if size in sizes:
            root = peaks[-1]
            for peak in reversed(peaks[:-1]):
                root = node_hash(peak, root)
            found[size] = root
    return found


# --- Documents ----------------------------------------------------------------------------


def check_statement(statement: object) -> str:
    """Check that what is stated is an erasure, or a promise of one; return its summary."""
    kind = take(statement, "format", str)
    request = take(statement, "request_id", str)
    if kind == RECEIPT:
        return f"receipt {request}, due {take(statement, 'due_at', str)}{held(statement)}"
    stores, probes = take(statement, "stores", list), take(statement, "probes", list)
    if not stores or not probes:
        refuse("no stores, or no probes")
    for store in stores:
        if take(store, "after", int):
            refuse(f"records are left in {take(store, 'store', str)}")
    for probe in probes:
        if take(probe, "residue", int):
            refuse(f"residue was found in {take(probe, 'store', str)}")
        if not take(probe, "control_found", bool):
            refuse(f"the probe of {take(probe, 'store', str)} did not find its control")
    erased = sum(take(store, "before", int) for store in stores)
    found = f"certificate {request}, {erased} records in {len(stores)} stores, residue 0"
    return f"{found}{held(statement)}, {punctuality(statement)}"


def read(statement: object, name: str) -> object:
    """Return a field that documents of older versions lack, or None."""
    return statement.get(name) if isinstance(statement, dict) else None


def held(statement: object) -> str:
    """Say so where nothing was held: such a document proves nothing about anybody."""
    return ", NOTHING WAS HELD UNDER THIS ID" if read(statement, "n_records") == 0 else ""


def punctuality(statement: object) -> str:
    """Tell whether it was in time, and whether it was due earlier once."""
    due, done = take(statement, "due_at", str), take(statement, "completed_at", str)
    first = read(statement, "first_due_at") or due
    moved = "" if first == due else f", extended from {first}"
    return f"{'LATE' if done > due else 'in time'} (due {due}{moved})"


def check_salt(document: object, *, subject: str | None, salt: str | None) -> str:
    """Check the salt, and, where asked, that the document is about ``subject``."""
    given = salt or take({"all": document}, "all", dict).get("salt")
    if given is None:
        if subject is not None:
            raise Unknown("the document holds no salt: give the one of the receipt with --salt")
        return "salt taken out: the document can be tied to nobody"
    if not isinstance(given, str) or not re.fullmatch("[0-9a-f]{64}", given):
        refuse("the salt is not 64 hex digits")
    raw = bytes.fromhex(given)
    hashed = hashlib.sha256(b"\x03lethe-salt/v1\n" + raw).hexdigest()
    if hashed != take(document, "statement.subject.salt_hash", str):
        refuse("the salt is not the one that was committed with")
    if subject is None:
        return "salt fits (give --subject USER to check whom it is about)"
    committed = set()
    for typed in (subject, unicodedata.normalize("NFC", subject)):  # the service takes ids as NFC
        user = typed.encode(errors="surrogateescape")  # the bytes that were typed
        committed.add(hashlib.sha256(b"\x02lethe-subject/v1\n" + raw + user).hexdigest())
    if take(document, "statement.subject.commitment", str) not in committed:
        refuse("the document is about somebody else")
    return "about the given user"


def check_leaf(document: object) -> str:
    """Check that the log's leaf records this very statement."""
    leaf = parse(take(document, "proof.leaf", str).encode())
    statement = take(document, "statement", dict)
    digest = hashlib.sha256(canonical(statement)).hexdigest()
    wanted = {
        "kind": "forget.completed",
        "request_id": take(statement, "request_id", str),
        "payload.statement": digest,
        "payload.subject": take(statement, "subject.commitment", str),
    }
    for path, value in wanted.items():
        if take(leaf, path, str) != value:
            refuse(f"the leaf's {path} is not that of the statement")
    return "records this statement"


def check_inclusion(document: object, checkpoint: Checkpoint) -> str:
    """Check that the leaf stands under the checkpoint's root."""
    if checkpoint.origin != take(document, "statement.origin", str):
        refuse(f"the checkpoint is of another log, {checkpoint.origin}")
    path = [unbase64(str(step), "proof.path") for step in take(document, "proof.path", list)]
    index = take(document, "proof.index", int)
    leaf = leaf_hash(take(document, "proof.leaf", str).encode())
    if root_of_path(leaf, index=index, size=checkpoint.size, path=path) != checkpoint.root:
        refuse("leads to another root than the checkpoint's")
    return f"leaf {index} of {checkpoint.size}, {len(path)} hashes"


def find_trust(document: object, pinned: Sequence[Key]) -> tuple[Key, ...]:
    """Return the keys to believe; refuse a document whose key follows from none of ``pinned``."""
    key = parse_key(take(document, "key", str))
    if not pinned:
        return (key,)
    history = take(document, "key_history", list)
    trusted = trusted_keys(pinned, [str(note) for note in history])
    if key not in trusted:
        refuse(f"wrong key: signed by {key}, which follows from none that was given")
    return tuple(trusted)


def check_signature(document: object) -> str:
    """Check the document's own signature."""
    key = parse_key(take(document, "key", str))
    kind = take(document, "statement.format", str)
    if kind not in {CERTIFICATE, RECEIPT}:
        refuse(f"statement.format: {kind[:40]} is unknown to this verifier")
    signature = unbase64(take(document, "signature", str), "signature")
    body = take({"all": document}, "all", dict)
    signed = {name: value for name, value in body.items() if name not in {"salt", "signature"}}
    if not key.has_signed(f"{kind}\n".encode() + canonical(signed), signature):
        refuse("does not fit the contents: something was changed, or the signature was")
    return f"by {key}"


def check_tlog_proof(document: object, proof: str, keys: Sequence[Key]) -> tuple[str, str]:
    """Check a .tlog-proof of the certificate's leaf; return its checkpoint and a summary."""
    head, blank, note = proof.partition("\n\n")
    lines = [line for line in head.split("\n") if not line.startswith("extra ")]
    match = re.fullmatch(r"index (0|[1-9][0-9]*)", lines[1], re.ASCII) if lines[1:] else None
    if not blank or lines[0] != TLOG_PROOF or match is None:
        refuse("malformed, or cut off")
    checkpoint = open_checkpoint(note, keys)
    path = [unbase64(line, "a hash") for line in lines[2:]]
    leaf = leaf_hash(take(document, "proof.leaf", str).encode())
    if root_of_path(leaf, index=int(match[1]), size=checkpoint.size, path=path) != checkpoint.root:
        refuse("is not of this certificate, or leads to another root than the checkpoint's")
    return note, f"leaf {match[1]} of {checkpoint.size} in {checkpoint.origin}, {len(path)} hashes"


def verify_document(
    data: bytes,
    *,
    pinned: Sequence[Key] = (),
    subject: str | None = None,
    salt: str | None = None,
    policy: Policy | None = None,
    proofs: Sequence[str] = (),
) -> Report:
    """Check a receipt or a certificate, and the .tlog-proofs of it."""
    report, keys = Report(), tuple[Key, ...]()
    document: object = None
    with report.check("form"):
        document = document_in(parse(data))
        report.ok("form", "whole")
    if report.n_wrong:
        return report
    with suppress(Wrong):
        statement = take(document, "statement", dict)
        told = (statement.get(name) for name in ("reach", "release"))
        report.lines += [f"       {text}" for text in told if text]
    with report.check("key"):
        keys = find_trust(document, pinned)
        report.ok("key", "follows from the one given" if pinned else "the document's own")
    with report.check("signature"):
        report.ok("signature", check_signature(document))
    with report.check("statement"):
        report.ok("statement", check_statement(take(document, "statement", dict)))
    with report.check("subject"):
        report.ok("subject", check_salt(document, subject=subject, salt=salt))
    if not _is_receipt(document):
        _verify_evidence(report, document, keys=keys, policy=policy, proofs=proofs)
    return report


def _verify_evidence(
    report: Report,
    document: object,
    *,
    keys: Sequence[Key],
    policy: Policy | None,
    proofs: Sequence[str],
) -> None:
    with report.check("leaf"):
        report.ok("leaf", check_leaf(document))
    notes = []
    with report.check("inclusion proof"):
        note = take(document, "proof.checkpoint", str)
        report.ok("inclusion proof", check_inclusion(document, open_checkpoint(note, keys)))
        notes.append(note)
    for proof in proofs:
        with report.check("tlog-proof"):
            note, told = check_tlog_proof(document, proof, keys)
            report.ok("tlog-proof", told)
            notes.append(note)
    if policy is not None:
        with report.check("witnesses"):
            report.ok("witnesses", policy.require(notes))


def document_in(value: object) -> object:
    """Return the document, taken out of the service's answer where it was saved as a whole."""
    if not isinstance(value, dict):
        refuse("not a document")
    for name in ("certificate", "receipt"):
        if "statement" not in value and isinstance(value.get(name), dict):
            return value[name]
    return value


def _is_receipt(document: object) -> bool:
    with suppress(Wrong):
        return take(document, "statement.format", str) == RECEIPT
    return False


# --- Exported logs ------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """Where a log ended that another one succeeds: after ``kept`` of its ``size`` leaves."""

    kept: int
    size: int
    last: Checkpoint
    why: str
    successor: str


@dataclass
class Log:
    """An exported log: its leaves' hashes, and the ends of the logs that it succeeds."""

    hashes: list[bytes] = field(default_factory=list)
    ends: dict[str, End] = field(default_factory=dict)

    def end_before(self, origin: str, size: int) -> End | None:
        """Return the end that kept ``size`` leaves of log ``origin`` from being continued here."""
        end = self.ends.get(origin)
        if end is None or size <= end.kept:
            return None
        if size > end.size:
            refuse(
                f"{origin} went on to {size} leaves, and the log that succeeds it says that it "
                f"ended at {end.size}"
            )
        return end


def read_succession(body: bytes, *, index: int, keys: Sequence[Key]) -> tuple[str, End] | None:
    """Return which log ended before leaf ``index``, and where; None for other leaves."""
    if b'"log.succeeded"' not in body:
        return None
    leaf = parse(body)
    if take(leaf, "kind", str) != "log.succeeded":
        return None
    last = open_checkpoint(take(leaf, "payload.old_checkpoint", str), keys)
    kept, size = take(leaf, "payload.kept", int), take(leaf, "payload.old_size", int)
    if kept != index or size < last.size:
        refuse(f"leaf {index} tells of a succession that cannot be")
    why, successor = take(leaf, "payload.why", str), take(leaf, "payload.origin", str)
    return last.origin, End(kept, size, last, why, successor)


def log_lines(data: bytes) -> list[bytes]:
    """Return one leaf a line, for an export that was laid out anew, too."""
    if data.split(b"\n", 1)[0].strip() in {b"{", b"["} or data.startswith(b"["):
        try:
            text, at, values = data.decode().strip(), 0, list[object]()
            while at < len(text):
                value, at = json.JSONDecoder().raw_decode(text, at)
                values += value if isinstance(value, list) else [value]
                at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n"))
        except ValueError:
            refuse("not JSON: cut off, or damaged")
        return [canonical(value) for value in values]
    lines = data.split(b"\n")
    if lines.pop():
        refuse("cut off: the last line does not end")
    return lines


def read_body(line: bytes, *, number: int) -> tuple[int, bytes]:
    """Return (seq, body) of line ``number`` (from 0) of an export; refuse a damaged one."""
    try:
        value = parse(line)
        seq, body = take(value, "seq", int), take(value, "leaf", str)
        hashed, n_fields = take(value, "leaf_hash", str), len(take({"all": value}, "all", dict))
    except Wrong as error:
        refuse(f"line {number + 1} is damaged: {error}")
    if n_fields != 3:  # noqa: PLR2004 - leaf, leaf_hash, seq
        refuse(f"line {number + 1} has fields that no leaf has")
    if leaf_hash(body.encode()).hex() != hashed:
        refuse(f"leaf {seq} was changed: it does not have its hash")
    return seq, body.encode()


def check_order(seqs: Sequence[int]) -> None:
    """Refuse a log whose leaves are not numbered 0, 1, 2, … in this order; name which."""
    if list(seqs) == list(range(len(seqs))):
        return
    in_order = sorted(seqs)
    pairs = list(itertools.pairwise([-1, *in_order]))
    # Gaps, not all numbers: a number in a damaged file may be anything up to 2**53.
    gaps = [f"{low + 1} to {high - 1}" for low, high in pairs if high - low > 1]
    if gaps:
        refuse(f"leaves were dropped: {_some(gaps)}")
    repeated = [str(low) for low, high in pairs if low == high]
    if repeated:
        refuse(f"leaves were inserted: there is more than one {_some(repeated)}")
    moved = [str(seq) for at, seq in enumerate(seqs) if seq != at]
    refuse(f"leaves were reordered: {_some(moved)}")


def _some(numbers: Sequence[str]) -> str:
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""  # noqa: PLR2004 - a line full
    return f"number {', '.join(numbers[:5])}{more}"


def check_roots(log: Log, checkpoints: Sequence[Checkpoint]) -> str:
    """Compare the log with its signed checkpoints; say between which two it was changed."""
    ended = [each for each in checkpoints if log.end_before(each.origin, each.size)]
    signed = dict[tuple[str, int], bytes]()
    for each in [*checkpoints, *(end.last for end in log.ends.values())]:
        if signed.setdefault((each.origin, each.size), each.root) != each.root:
            refuse(f"two histories of {each.origin} were signed at {each.size} leaves")
    here = sorted((each for each in checkpoints if each not in ended), key=lambda each: each.size)
    successors = [end.successor for end in log.ends.values()]
    current = successors[-1:] or [each.origin for each in here[-1:]]
    strange = [each for each in here if each.origin not in {*log.ends, *current}]
    if strange:
        refuse(f"the checkpoint at {strange[0].size} leaves is of another log, {strange[0].origin}")
    newest = max((each.size for each in here if [each.origin] == current), default=0)
    if newest > len(log.hashes):
        refuse(f"cut off: {len(log.hashes)} leaves, the checkpoint has {newest}")
    found, intact = roots(log.hashes, [each.size for each in here]), 0
    for each in here:
        if found[each.size] != each.root:
            refuse(
                f"the root over {each.size} leaves is not the signed one: something was changed, "
                f"dropped or inserted in leaves {intact} to {each.size - 1}"
            )
        intact = each.size
    if newest < len(log.hashes):
        refuse(f"leaves from {newest} on stand under no checkpoint: nothing vouches for them")
    lost = f", {len(ended)} of leaves that a restore lost" if ended else ""
    return f"{len(log.hashes)} leaves under {len(here)} checkpoint(s){lost}"


def check_place(document: object, log: Log) -> str:
    """Check that the log holds a document's leaf where the document says, or tells of its loss."""
    origin = take(document, "statement.origin", str)
    if _is_receipt(document):
        index = take(document, "statement.leaf_index", int)
        hashed = take(document, "statement.leaf_hash", str)
    else:
        index = take(document, "proof.index", int)
        hashed = leaf_hash(take(document, "proof.leaf", str).encode()).hex()
    end = log.end_before(origin, index + 1)
    if end is not None:
        return f"leaf {index} of {origin}, which ended at {end.size} leaves ({end.why}), is lost"
    if index >= len(log.hashes):
        raise Unknown(f"the log that was given ends before leaf {index}")
    if log.hashes[index].hex() != hashed:
        refuse(f"the log holds another leaf {index}")
    return f"leaf {index} is the document's"


def read_log(report: Report, data: bytes, *, keys: Sequence[Key]) -> Log:
    """Read an exported log, noting whatever is wrong with a line or with their order."""
    log, seqs, lines = Log(), list[int](), list[bytes]()
    with report.check("leaves"):
        lines = log_lines(data)
    for number, line in enumerate(lines):
        with report.check("leaves"):
            seq, body = read_body(line, number=number)
            seqs.append(seq)
            log.hashes.append(leaf_hash(body))
            told = read_succession(body, index=number, keys=keys)
            if told is not None:
                log.ends[told[0]] = told[1]
    if not report.n_wrong:
        with report.check("order"):
            check_order(seqs)
    return log


def verify_log(
    data: bytes,
    *,
    notes: Sequence[str],
    pinned: Sequence[Key],
    policy: Policy | None = None,
    documents: Sequence[object] = (),
) -> Report:
    """Check an exported log against signed checkpoints, and documents against the log."""
    report, checkpoints = Report(), list[Checkpoint]()
    for number, note in enumerate(notes, start=1):
        with report.check(f"checkpoint {number}"):
            checkpoints.append(open_checkpoint(note, pinned))
            report.ok(f"checkpoint {number}", f"{checkpoints[-1].size} leaves, signed")
    log = read_log(report, data, keys=pinned)
    for end in log.ends.values():
        n_lost = max(0, end.size - end.kept)
        report.ok("succession", f"{end.successor}: {end.why}, {n_lost} leaves lost before it")
    if not report.n_wrong:
        with report.check("root"):
            report.ok("root", check_roots(log, checkpoints))
    for document in documents:
        with report.check("place in the log"):
            report.ok("place in the log", check_place(document, log))
    if policy is not None and not report.n_wrong:
        largest = max(notes, key=lambda note: open_checkpoint(note, pinned).size)
        with report.check("witnesses"):
            report.ok("witnesses", policy.require([largest]))
    return report


# --- Command line -------------------------------------------------------------------------


def read_keys(values: Sequence[str]) -> list[Key]:
    """Return the keys of ``--key``: each a key, or a file of keys, one a line."""
    keys = []
    for value in values:
        is_key = KEY_LINE.fullmatch(value)
        lines = [value] if is_key else Path(value).read_text(encoding="utf-8").split()
        keys += [parse_key(line) for line in lines]
    return keys


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=None if argv is None else "lethe verify",
        description=(__doc__ or "").partition("\n")[0],
        epilog="exit code: 0 whole, 1 wrong, 2 nothing could be concluded",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="what to check")
    parser.add_argument("--key", action="append", default=[], help="public key, or file of keys")
    parser.add_argument("--subject", metavar="USER", help="check whom the documents are about")
    parser.add_argument("--salt", metavar="HEX", help="salt of the receipt, for --subject")
    parser.add_argument("--policy", type=Path, help="log keys and witnesses: c2sp.org/tlog-policy")
    parser.add_argument("--log", type=Path, action="append", default=[], help="the same as FILE")
    parser.add_argument(
        "--checkpoint", type=Path, action="append", default=[], help="the same as FILE"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document, for programs")
    given = parser.parse_args(argv)
    given.files = [*given.files, *given.log, *given.checkpoint]
    if not given.files:
        parser.error("give a FILE")
    return given


@dataclass
class Given:
    """The files that were given, told apart by what is in them."""

    documents: list[tuple[Path, bytes]] = field(default_factory=list)
    logs: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Read a file; what is none of the others is taken for a document."""
        data = path.read_bytes()
        if data.startswith(TLOG_PROOF.encode()):
            self.proofs.append(data.decode())
        elif b"\n\n\xe2\x80\x94 " in data[:4096] and not data.startswith((b"{", b"[")):
            self.notes.append(data.decode())
        elif re.match(rb'[\s\[]*\{\s*"(leaf|leaf_hash|seq)"\s*:', data):
            self.logs.append(data)
        else:
            value = None
            with suppress(Wrong):
                value = parse(data)
            if isinstance(value, dict) and isinstance(value.get("note"), str):
                self.notes.append(value["note"])
            elif not data.strip() and path.suffix == ".ndjson":
                self.logs.append(data)
            else:
                self.documents.append((path, data))


def run(given: argparse.Namespace) -> int:
    """Check what was asked for, print the report, return the exit code."""
    policy = parse_policy(given.policy.read_text(encoding="utf-8")) if given.policy else None
    pinned = [*read_keys(given.key), *(policy.logs if policy else ())]
    files = Given()
    for path in given.files:
        files.add(path)
    reports = []
    keys, notes, papers = list(pinned), list(files.notes), list[object]()
    for path, data in files.documents:
        report = verify_document(
            data,
            pinned=pinned,
            subject=given.subject,
            salt=given.salt,
            policy=policy,
            proofs=files.proofs if len(files.documents) == 1 else (),
        )
        if len(given.files) > 1:
            report.lines.insert(0, f"{path}:")
        reports.append(report)
        with suppress(Wrong):
            document = document_in(parse(data))
            papers.append(document)
            keys += [key for key in find_trust(document, pinned) if key not in keys]
            if not _is_receipt(document):
                notes.append(take(document, "proof.checkpoint", str))
    reports += _reports_of_logs(files, keys=keys, notes=notes, papers=papers, policy=policy)
    code, verdict = _verdict(reports, is_pinned=bool(pinned))
    lines = [line for report in reports for line in report.lines]
    if given.json:
        told = {"is_verified": code == 0, "verdict": verdict, "lines": lines}
        lines, verdict = [], json.dumps(told, ensure_ascii=False)
    sys.stdout.writelines(f"{line}\n" for line in (*lines, verdict))
    return code


def _reports_of_logs(
    files: Given,
    *,
    keys: Sequence[Key],
    notes: Sequence[str],
    papers: Sequence[object],
    policy: Policy | None,
) -> Iterator[Report]:
    """Check logs with all checkpoints that were given, or the checkpoints alone."""
    unused = Report()
    for data in files.logs:
        if notes:
            yield verify_log(data, notes=notes, pinned=keys, policy=policy, documents=papers)
        else:
            with unused.check("log"):
                raise Unknown("no checkpoint of it was given")
    for number, note in enumerate(() if files.logs else files.notes, start=1):
        with unused.check(f"checkpoint {number}"):
            opened = open_checkpoint(note, keys)
            unused.ok(f"checkpoint {number}", f"{opened.origin} at {opened.size} leaves, signed")
            if policy is not None:
                unused.ok("witnesses", policy.require([note]))
    if files.proofs and len(files.documents) != 1:
        with unused.check("tlog-proof"):
            raise Unknown("give it with the one certificate that it belongs to")
    yield unused


def _verdict(reports: Sequence[Report], *, is_pinned: bool) -> tuple[int, str]:
    """Return the exit code and what it means."""
    if any(report.n_wrong for report in reports):
        return 1, "NOT VERIFIED"
    if not is_pinned:
        return 2, "WHOLE, BUT WHO SIGNED IT IS NOT KNOWN: give the key with --key"
    if any(report.n_unknown for report in reports):
        return 2, "NOTHING CONCLUDED: something that is needed was not given"
    return 0, "VERIFIED"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        return run(arguments(argv))
    except (OSError, UnicodeError, Wrong) as error:
        sys.stderr.write(f"could not check: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
