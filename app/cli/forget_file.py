"""``lethe forget --file``: a list of people, through a running service, resumable."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from app.cli.loading import progress_on
from app.cli.remote import Remote
from app.domain.errors import FieldError, InvalidInputError

COLUMNS: Final = ("user", "requested_at", "subject_request_id", "reason", "hold")
_AT_ONCE: Final = 500
"""Entries of one call; a service takes 1,000 unless it is told otherwise."""
_SETTLED: Final = frozenset({"completed", "rejected", "failed", "on_hold"})
_Told = dict[str, Any]


@dataclass
class Report:
    """What became of each line of a file: appended to another file as it is known.

    Args:
        source: SHA-256 of the people's file, hexadecimal.
        lines: what was told last of each line, by its number.
    """

    path: Path
    source: str
    lines: dict[int, _Told] = field(default_factory=dict)

    @classmethod
    def opened(cls, path: Path, *, source: str) -> Report:
        """Open a report, or begin one that only its owner can read.

        Raises:
            InvalidInputError: it tells of another file.
        """
        report = cls(path, source)
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            report._append({"source": source})
        whole = path.read_text(encoding="utf-8").rpartition("\n")[0]  # the last may be broken off
        first, *others = map(json.loads, whole.splitlines())
        if first != {"source": source}:
            raise InvalidInputError(FieldError("--report", "tells of another file"))
        for told in others:
            report.lines[told["line"]] = told
        return report

    def tell(self, line: int, told: Mapping[str, object]) -> None:
        """Keep what became of a line."""
        self.lines[line] = {"line": line, **told}
        self._append(self.lines[line])

    def _append(self, told: Mapping[str, object]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")

    def count(self) -> dict[str, int]:
        """Return how many lines ended how: a status, or the code of an error."""
        ends: dict[str, int] = {}
        for told in self.lines.values():
            end = str(told["code"] if "code" in told else told["status"])
            ends[end] = ends.get(end, 0) + 1
        return ends


def read_people(raw: bytes) -> dict[int, _Told]:
    """Return the entries of a CSV file by the number of their line.

    Raises:
        InvalidInputError: not UTF-8, no column ``user``, or one that nobody knows.
    """
    try:
        rows = csv.DictReader(io.StringIO(raw.decode("utf-8-sig")))
    except UnicodeDecodeError:
        raise InvalidInputError(FieldError("--file", "not UTF-8")) from None
    names = set(rows.fieldnames or ())
    if "user" not in names or not names <= set(COLUMNS):
        wanted = "needs a first row with user, and may have " + ", ".join(COLUMNS[1:])
        raise InvalidInputError(FieldError("--file", wanted))
    return dict((rows.line_num, _entry(row)) for row in rows)  # noqa: C402 - the number moves


def _entry(row: Mapping[str, str | None]) -> _Told:
    given: _Told = {name: value for name, value in row.items() if name in COLUMNS and value}
    given["hold"] = given.get("hold", "").lower() in {"1", "true", "yes"}
    return {"user": "", "scope": {"kind": "all"}} | given


def forget_file(
    path: Path, service: Remote, *, report_path: Path | None, is_awaited: bool
) -> dict[str, int]:
    """Have everybody in a file forgotten; a second run goes on where the first one was broken off.

    Returns:
        How many lines ended how.

    Raises:
        InvalidInputError: the file is none of people, or the report another file's.
        DependencyUnavailableError: the service does not answer; run it again.
    """
    raw = path.read_bytes()
    people, source = read_people(raw), hashlib.sha256(raw).hexdigest()
    report = Report.opened(report_path or path.with_suffix(".report.ndjson"), source=source)
    with progress_on(Console(stderr=True)) as shown:
        bar = shown.add_task("suppressed", total=len(people))
        for line, told in _sent(service, people, report):
            report.tell(line, told)
            shown.update(bar, completed=_n_taken(report))
        shown.update(bar, completed=_n_taken(report))
        if is_awaited:
            bar = shown.add_task("certified", total=_n_taken(report))
            for _ in _awaited(service, report):
                shown.advance(bar)
    return report.count()


def _n_taken(report: Report) -> int:
    return sum("request_id" in told for told in report.lines.values())


def _sent(
    service: Remote, people: Mapping[int, _Told], report: Report
) -> Iterator[tuple[int, _Told]]:
    """Send what has no receipt yet; yield what the service says of each line."""
    left = [line for line in people if "request_id" not in report.lines.get(line, {})]
    for start in range(0, len(left), _AT_ONCE):
        lines = left[start : start + _AT_ONCE]
        entries = [{**people[line], "idempotency_key": f"{report.source}:{line}"} for line in lines]
        yield from zip(lines, service.stream("/forget/batch", entries), strict=False)


def _awaited(service: Remote, report: Report) -> Iterator[int]:
    """Wait for each request; keep its certificate. One on hold is waited for no longer."""
    for line, told in sorted(report.lines.items()):
        if "request_id" not in told:
            continue
        if told["status"] not in _SETTLED or "certificate" not in told:
            done = service.finished(told["request_id"], final=_SETTLED)
            ended = {"status": done["status"], "certificate": done["certificate"]}
            report.tell(line, {**told, **ended})
        yield line
