"""The process that cleans and searches files: tasks on standard input, answers on standard output.

Needles come through a pipe, never as arguments or files: a probe must not leave what it seeks.
Alone it does one search. With ``--stays`` it has tasks done until its input ends, each read and
done by a fork, so that an interpreter is warm and still nothing of what is sought is in its memory.
"""

from __future__ import annotations

import json
import os
import select
import sys
from itertools import groupby
from pathlib import Path
from typing import Final

from app.adapters.chroma.maintenance import clean
from app.adapters.probe.messages import decode_asked, decode_stores, encode_reports
from app.adapters.probe.process import CLEAN, STAYS, read_frame, write_frame
from app.adapters.probe.stores import StoreSearch

_FAILED: Final = 1
"""What Python ends with after an error that nobody has caught."""
_ENDED: Final = 3


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
    """Have tasks done by forks until there is no more input; only they read what is sought."""
    while True:
        select.select([sys.stdin], [], [])
        child = os.fork()
        if child == 0:
            os._exit(do_next())
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == _FAILED:
            write_frame(sys.stdout.buffer, b"")
        elif code != 0:  # no more input, or a fork was killed and may have answered in part
            return


def do_next() -> int:
    """Read a task, do it and answer; return 0, or that there was none. An error ends with 1."""
    task = read_frame(sys.stdin.buffer)
    if task is None:
        return _ENDED
    write_frame(sys.stdout.buffer, do(task))
    return 0


def main() -> int:
    """Search once, or stay; return 0."""
    if STAYS in sys.argv:
        stay()
    else:
        sys.stdout.buffer.write(search(sys.stdin.buffer.read()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
