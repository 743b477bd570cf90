"""Check a receipt, a certificate or an exported audit log of Lethe; offline, in one file.

    python verify_lethe.py certificate.json --key KEY [--subject USER]
    python verify_lethe.py --log leaves.ndjson --checkpoint checkpoint.txt --key KEY

KEY is the service's public key, ``name+id+base64``, or a file of such lines; get it on a way
that whoever gave you the document does not control. Needs Python 3.11 and the package
``cryptography``; no network, and nothing else of Lethe: that is the point of it.

Exit code: 0 all is well and signed by KEY; 1 something is wrong, and is named; 2 nothing could
be concluded (unreadable file, wrong usage, or no KEY given).

Sources: RFC 9162 section 2.1 (tree and proofs), c2sp.org/signed-note and
c2sp.org/tlog-checkpoint (checkpoints), RFC 8785 (canonical JSON), RFC 8032 (Ed25519).
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
SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
SIZE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
T = TypeVar("T")


class Wrong(Exception):  # noqa: N818 - read as a sentence: raise Wrong("the signature ...")
    """What was checked is not as it should be; the message names it."""


@dataclass
class Report:
    """What was checked, and what was found."""

    lines: list[str] = field(default_factory=list)
    n_wrong: int = 0

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


def refuse(message: str) -> NoReturn:
    """Fail the present check."""
    raise Wrong(message)


# --- Canonical JSON -----------------------------------------------------------------------


def canonical(value: object) -> bytes:
    """Return the one form of ``value`` (RFC 8785 without fractions)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse(data: bytes, *, any_layout: bool) -> object:
    """Read JSON; in any other than the canonical form only if ``any_layout``."""

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
        is_canonical = canonical(value) == data.removesuffix(b"\n")
    except (ValueError, RecursionError):
        cut = "cut off" if not data.rstrip().endswith(b"}") else "damaged"
        refuse(f"not JSON: {cut}")
    if not is_canonical and not any_layout:
        refuse("not in canonical form: changed, or laid out anew (then try --any-layout)")
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
    """A public key: name and 32 bytes."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the id by which signature lines call it."""
        return hashlib.sha256(self.name.encode() + b"\n\x01" + self.public).digest()[:4]

    def __str__(self) -> str:
        encoded = base64.b64encode(b"\x01" + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def parse_key(text: str) -> Key:
    """Read ``name+id+base64``."""
    match = KEY_LINE.fullmatch(text)
    data = unbase64(match[3], "key") if match else b""
    key = Key(match[1], data[1:]) if match and data[:1] == b"\x01" else None
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
    if not signers:
        refuse("wrong key: signed by no key that is trusted")
    match text.split("\n"):
        case [origin, size, root, ""] if SIZE.fullmatch(size):
            return Checkpoint(origin, int(size), unbase64(root, "the root"))
    refuse("not the three lines origin, size, root")


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
            refuse("the document holds no salt: give the one of the receipt with --salt")
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
    leaf = parse(take(document, "proof.leaf", str).encode(), any_layout=True)
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


def verify_document(
    data: bytes,
    *,
    pinned: Sequence[Key] = (),
    subject: str | None = None,
    salt: str | None = None,
    any_layout: bool = False,
) -> Report:
    """Check a receipt or a certificate."""
    report, keys = Report(), tuple[Key, ...]()
    document: object = None
    with report.check("form"):
        document = parse(data, any_layout=any_layout)
        if not isinstance(document, dict):
            refuse("not a document")
        report.ok("form", "whole")
    if report.n_wrong:
        return report
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
        with report.check("leaf"):
            report.ok("leaf", check_leaf(document))
        with report.check("inclusion proof"):
            checkpoint = open_checkpoint(take(document, "proof.checkpoint", str), keys)
            report.ok("inclusion proof", check_inclusion(document, checkpoint))
    return report


def _is_receipt(document: object) -> bool:
    with suppress(Wrong):
        return take(document, "statement.format", str) == RECEIPT
    return False


# --- Exported logs ------------------------------------------------------------------------


def read_leaf(line: bytes, *, number: int) -> tuple[int, bytes]:
    """Return (seq, leaf hash) of line ``number`` (from 0) of an export; refuse a damaged one."""
    try:
        value = parse(line, any_layout=False)
        seq, body = take(value, "seq", int), take(value, "leaf", str)
        hashed, n_fields = take(value, "leaf_hash", str), len(take({"all": value}, "all", dict))
    except Wrong as error:
        refuse(f"line {number + 1} is damaged: {error}")
    if n_fields != 3:  # noqa: PLR2004 - leaf, leaf_hash, seq
        refuse(f"line {number + 1} has fields that no leaf has")
    actual = leaf_hash(body.encode())
    if actual.hex() != hashed:
        refuse(f"leaf {seq} was changed: it does not have its hash")
    return seq, actual


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


def check_roots(hashes: Sequence[bytes], checkpoints: Sequence[Checkpoint]) -> str:
    """Compare the log with its signed checkpoints; say between which two it was changed."""
    newest = max(checkpoints, key=lambda each: each.size)
    if newest.size > len(hashes):
        refuse(f"cut off: {len(hashes)} leaves, the checkpoint has {newest.size}")
    found = roots(hashes, [each.size for each in checkpoints])
    intact = 0
    for each in sorted(checkpoints, key=lambda each: each.size):
        if found[each.size] != each.root:
            refuse(
                f"the root over {each.size} leaves is not the signed one: something was changed, "
                f"dropped or inserted in leaves {intact} to {each.size - 1}"
            )
        intact = each.size
    if newest.size < len(hashes):
        refuse(f"leaves from {newest.size} on stand under no checkpoint: nothing vouches for them")
    return f"{len(hashes)} leaves under {len(checkpoints)} checkpoint(s)"


def verify_log(data: bytes, *, notes: Sequence[str], pinned: Sequence[Key]) -> Report:
    """Check an exported log, one leaf a line, against its signed checkpoints."""
    report, hashes, seqs = Report(), list[bytes](), list[int]()
    checkpoints = list[Checkpoint]()
    for number, note in enumerate(notes, start=1):
        with report.check(f"checkpoint {number}"):
            checkpoints.append(open_checkpoint(note, pinned))
            report.ok(f"checkpoint {number}", f"{checkpoints[-1].size} leaves, signed")
    lines = data.split(b"\n")
    if lines.pop():
        report.wrong("leaves", "cut off: the last line does not end")
    for number, line in enumerate(lines):
        with report.check("leaves"):
            seq, hashed = read_leaf(line, number=number)
            seqs.append(seq)
            hashes.append(hashed)
    if not report.n_wrong:
        with report.check("order"):
            check_order(seqs)
    if not report.n_wrong:
        with report.check("root"):
            report.ok("root", check_roots(hashes, checkpoints))
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, help="receipt or certificate")
    parser.add_argument("--key", action="append", default=[], help="public key, or file of keys")
    parser.add_argument("--subject", metavar="USER", help="check whom the document is about")
    parser.add_argument("--salt", metavar="HEX", help="salt of the receipt, for --subject")
    parser.add_argument("--any-layout", action="store_true", help="accept re-indented JSON")
    parser.add_argument("--log", type=Path, help="exported log, one leaf a line")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="signed note")
    given = parser.parse_args(argv)
    if not given.file and not given.log:
        parser.error("give a FILE or --log")
    if given.log and not (given.checkpoint and given.key):
        parser.error("--log needs --checkpoint and --key")
    return given


def run(given: argparse.Namespace) -> int:
    """Check what was asked for, print the report, return the exit code."""
    pinned = read_keys(given.key)
    reports = []
    if given.file:
        options = {name: getattr(given, name) for name in ("subject", "salt", "any_layout")}
        reports.append(verify_document(given.file.read_bytes(), pinned=pinned, **options))
    if given.log:
        notes = [path.read_text(encoding="utf-8") for path in given.checkpoint]
        reports.append(verify_log(given.log.read_bytes(), notes=notes, pinned=pinned))
    for report in reports:
        sys.stdout.writelines(f"{line}\n" for line in report.lines)
    if any(report.n_wrong for report in reports):
        sys.stdout.write("NOT VERIFIED\n")
        return 1
    if not pinned:
        sys.stdout.write("WHOLE, BUT WHO SIGNED IT IS NOT KNOWN: give the key with --key\n")
        return 2
    sys.stdout.write("VERIFIED\n")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        return run(arguments(argv))
    except (OSError, UnicodeError, Wrong) as error:
        sys.stderr.write(f"could not check: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
