"""The process that cleans and searches files: tasks on standard input, answers on standard output.

Needles come through a pipe, never as arguments or files: a probe must not leave what it seeks.
Alone it does one search. With ``--stays`` it does tasks until its input ends, each in a fork of
its own, so that an interpreter is warm and still nothing of what was sought stays in its memory.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import groupby
from pathlib import Path

from app.adapters.chroma.maintenance import clean
from app.adapters.probe.messages import decode_asked, decode_stores, encode_reports
from app.adapters.probe.process import CLEAN, STAYS, read_frame, write_frame
from app.adapters.probe.stores import StoreSearch


def search(task: bytes) -> bytes:
    """Return of each asker a line with the reports; the task's first line are the stores."""
    told, *lines = task.split(b"\n")
    stores, everybody = decode_stores(told), [decode_asked(line) for line in lines]
    answers: list[bytes] = []
    for _, same in groupby(everybody, key=lambda one: one.key):
        one_pass = StoreSearch(list(same))
        by_store = [one_pass.search(store) for store in stores]
        answers += [encode_reports(reports) for reports in zip(*by_store, strict=True)]
    return b"\n".join(answers)


def do(task: bytes) -> bytes:
    """Clean a database's files, or search."""
    if task.startswith(CLEAN):
        return json.dumps(clean(Path(task.removeprefix(CLEAN).decode()))).encode()
    return search(task)


def stay() -> None:
    """Do tasks until there is no more input; an empty answer tells that one failed."""
    while (task := read_frame(sys.stdin.buffer)) is not None:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            with os.fdopen(writing, "wb") as answer:
                answer.write(do(task))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            found = answer.read()
        _, status = os.waitpid(child, 0)
        write_frame(sys.stdout.buffer, b"" if status else found)


def main() -> int:
    """Search once, or stay; return 0."""
    if STAYS in sys.argv:
        stay()
    else:
        sys.stdout.buffer.write(search(sys.stdin.buffer.read()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
