"""Flips every byte: of a certificate to every other value, of a 1,000-leaf log to 8 others.

Each damaged certificate goes through the whole verifier. Of the log, each damaged line goes
through the verifier's reading of a line, which is what the whole verifier does first with it;
where the flip touches or makes a line feed, and for every 499th byte besides, the whole log
goes through the whole verifier.

``python -m benchmarks.audit.tamper`` writes ``benchmarks/results/audit_tamper.json``.
"""

from __future__ import annotations

import sys
import time
from typing import Final

from app.data.verify_lethe import Key, Wrong, parse_key, read_body, verify_document, verify_log
from benchmarks.harness import write_result
from tests.audit_samples import SIGNER, MemoryLog, make_certificate, rotated

N_LEAVES: Final = 1_000
WHOLE_EVERY: Final = 499
PINNED: Final[list[Key]] = [parse_key(SIGNER.key.encode())]


def flip(data: bytes, *, at: int, mask: int) -> bytes:
    """Return ``data`` with one byte changed."""
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def certificate() -> dict[str, object]:
    """Change every byte of a certificate with a rotated key to every other value."""
    # Without its last line feed: white space after the document is layout.
    data = make_certificate(signer=rotated(SIGNER, 2)).encode().rstrip()
    if verify_document(data, pinned=PINNED).n_wrong:
        sys.exit("the certificate was wrong before it was changed")
    started = time.perf_counter()
    missed = [
        (at, mask)
        for at in range(len(data))
        for mask in range(1, 256)
        if not verify_document(flip(data, at=at, mask=mask), pinned=PINNED).n_wrong
    ]
    return {
        "bytes": len(data),
        "changes": 255 * len(data),
        "missed": len(missed),
        "seconds": round(time.perf_counter() - started, 1),
    }


def is_line_caught(line: bytes, *, number: int) -> bool:
    """Whether reading the line fails, or finds another leaf than the one that stands there."""
    try:
        return read_body(line, number=number)[0] != number
    except Wrong:
        return True


def log() -> dict[str, object]:
    """Flip every bit of a log of 1,000 leaves."""
    memory = MemoryLog()
    memory.fill(N_LEAVES)
    data, notes = memory.export(), [memory.checkpoint().encode()]
    if verify_log(data, notes=notes, pinned=PINNED).n_wrong:
        sys.exit("the log was wrong before it was changed")
    started = time.perf_counter()
    n_lines = n_whole = missed = 0
    begin = 0
    for number, line in enumerate(data.splitlines(keepends=True)):
        for at in range(len(line)):
            for bit in range(8):
                damaged = flip(line, at=at, mask=1 << bit)
                n_lines += 1
                is_whole = damaged.count(b"\n") != 1 or not damaged.endswith(b"\n")
                if not is_whole and not is_line_caught(damaged[:-1], number=number):
                    missed += 1
                if is_whole or ((begin + at) % WHOLE_EVERY == 0 and bit == 0):
                    n_whole += 1
                    whole = flip(data, at=begin + at, mask=1 << bit)
                    if not verify_log(whole, notes=notes, pinned=PINNED).n_wrong:
                        missed += 1
        begin += len(line)
    return {
        "bytes": len(data),
        "leaves": N_LEAVES,
        "changes": n_lines,
        "through_the_whole_verifier": n_whole,
        "missed": missed,
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    """Change everything, one byte at a time, and count what is not caught."""
    payload = {"seed": 0, "certificate": certificate(), "log": log()}
    print(payload)
    write_result("audit_tamper", payload)


if __name__ == "__main__":
    main()
