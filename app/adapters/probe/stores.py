"""Search one store: its files byte by byte, and what only its own format shows."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from app.adapters.chroma.hnsw_header import HEADER_FILE
from app.adapters.chroma.maintenance import LOCK_FILE, locked
from app.adapters.probe.chroma_files import full_text_residue, index_residue
from app.adapters.probe.fingerprint_scanner import FingerprintScanner
from app.adapters.probe.scanner import Scanner
from app.domain.erasure.residue import Finding, NeedleKind, Needles, Pattern, ProbeReport, patterns

_COMPANIONS: Final = ("", "-wal", "-shm", "-journal")


class StoreFormat(StrEnum):
    """How a store lies on disk."""

    CHROMA = "chroma"
    SQLITE = "sqlite"
    DIRECTORY = "directory"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class ProbedStore:
    """A store the probe was told of.

    Args:
        name: as in the certificate.
        format: CHROMA: a persist directory; SQLITE: a database file with its companions;
            DIRECTORY: every file below; LOGS: the same, but no canary can live in logs, so the
            probe plants a file of its own there for the time of the search.
        path: absolute.
        control: kinds of canary needles that the store holds.
    """

    name: str
    format: StoreFormat
    path: Path
    control: frozenset[NeedleKind]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What one asker has searched for.

    Args:
        groups: of each erasure what must be gone.
        control: of the canary that this asker knows to be there.
        key: of their fingerprints, where there are any.
    """

    groups: Sequence[Needles]
    control: Needles
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class _Hit:
    """One needle met in one file; ``side`` is the place of its group, or control, among all."""

    side: int
    kind: NeedleKind
    needle: int
    file: str


class StoreSearch:
    """Searches stores for what several have asked for, one pass a file for all of them.

    Each asker's groups count as searched only where that asker's own control was found.

    Args:
        asked: by each; all with the same key.
    """

    def __init__(self, asked: Sequence[Asked]) -> None:
        self._sides = [side for one in asked for side in (one.control, *one.groups)]
        n_sides = [1 + len(one.groups) for one in asked]
        begins = [sum(n_sides[:number]) for number in range(len(asked))]
        self._askers = [range(at, at + n) for at, n in zip(begins, n_sides, strict=True)]
        self._controls = frozenset(begins)
        self._patterns: list[tuple[int, Pattern]] = [
            (number, pattern)
            for number, side in enumerate(self._sides)
            for pattern in patterns(side)
        ]
        self._scanner = Scanner([pattern.data for _, pattern in self._patterns])
        self._n_fingerprints = [len(side.fingerprints.pairs) for side in self._sides]
        self._fingerprint_scanner = FingerprintScanner(
            [side.fingerprints for side in self._sides], key=asked[0].key
        )

    def search(self, store: ProbedStore) -> list[list[ProbeReport]]:
        """Search one store; return of each asker a report for each group.

        Raises:
            OSError: a file or the store itself cannot be read.
            ValueError: a file is of an unknown format.
            sqlite3.Error: Chroma's database cannot be read.
        """
        started = time.perf_counter()
        hits: set[_Hit] = set()
        n_files, n_bytes = 0, 0
        with ExitStack() as stack:
            if store.format is StoreFormat.CHROMA:
                # Pages are overwritten, or moved, while they are read; wait, and let that wait.
                stack.enter_context(locked(store.path / LOCK_FILE))
            if store.format is StoreFormat.LOGS:
                stack.enter_context(self._planted(store.path))
            root = store.path if store.path.is_dir() else store.path.parent
            for file in _files(store):
                found, n_read = self._scan(file, name=file.relative_to(root).as_posix())
                hits |= found
                n_files, n_bytes = n_files + 1, n_bytes + n_read
            if store.format is StoreFormat.CHROMA:
                hits |= self._chroma_hits(store.path)
        n_patterns = Counter(side for side, _ in self._patterns)
        by_side: dict[int, list[_Hit]] = {}
        for hit in hits:
            by_side.setdefault(hit.side, []).append(hit)
        return [
            [
                ProbeReport(
                    store=store.name,
                    files=n_files,
                    bytes_read=n_bytes,
                    patterns=n_patterns[side] + self._n_fingerprints[side],
                    findings=_findings(by_side.get(side, ())),
                    left=_left(by_side.get(side, ())),
                    control_found=self._is_controlled(by_side.get(control, ()), sides, store=store),
                    seconds=time.perf_counter() - started,
                )
                for side in groups
            ]
            for sides in self._askers
            for control, *groups in [sides]
        ]

    def _scan(self, file: Path, *, name: str) -> tuple[set[_Hit], int]:
        try:
            indices, n_read = self._scanner.scan(file)
            traces = self._fingerprint_scanner.scan(file)
        except FileNotFoundError:
            return set(), 0  # a journal, or a rotated log: what is gone holds nothing
        met = (self._patterns[index] for index in indices)
        hits = {_Hit(side, p.kind, p.needle, name) for side, p in met}
        hits |= {_Hit(side, NeedleKind.TRACE, place, name) for side, place in traces}
        return hits, n_read

    def _chroma_hits(self, directory: Path) -> set[_Hit]:
        return {*self._slot_hits(directory), *self._full_text_hits(directory)}

    def _slot_hits(self, directory: Path) -> Iterator[_Hit]:
        owners = [
            (n, row) for n, side in enumerate(self._sides) for row in range(len(side.vectors))
        ]
        vectors = [vector for side in self._sides for vector in side.vectors]
        for header in sorted(directory.glob(f"*/{HEADER_FILE}")):
            for place in index_residue(header.parent, vectors=vectors):
                side, row = owners[place]
                yield _Hit(side, NeedleKind.VECTOR, row, f"{header.parent.name}/slots")

    def _full_text_hits(self, directory: Path) -> Iterator[_Hit]:
        sides = [
            (number, side.documents + side.texts)
            for number, side in enumerate(self._sides)
            if number not in self._controls
        ]
        owners = [(number, row) for number, documents in sides for row in range(len(documents))]
        documents = [document for _, documents in sides for document in documents]
        for place in full_text_residue(directory, documents=documents):
            side, row = owners[place]
            yield _Hit(side, NeedleKind.DOCUMENT, row, "full-text index")

    def _is_controlled(
        self, hits: Collection[_Hit], sides: Sequence[int], *, store: ProbedStore
    ) -> bool:
        """Whether an asker's control was found; ``hits`` are the control's."""
        has_traces = any(self._n_fingerprints[side] for side in sides)
        wanted = store.control | ({NeedleKind.TRACE} if has_traces else set())
        return bool(store.control) and wanted <= {hit.kind for hit in hits}

    @contextmanager
    def _planted(self, directory: Path) -> Iterator[None]:
        """Keep a file with the controls' strings in ``directory`` during the search."""
        strings = [pattern.data for side, pattern in self._patterns if side in self._controls]
        file = directory / f"lethe-control-{secrets.token_hex(4)}"
        file.write_bytes(b"\n".join(strings))
        try:
            yield
        finally:
            file.unlink()


def _files(store: ProbedStore) -> Iterator[Path]:
    """Yield the store's files.

    Raises:
        FileNotFoundError: there is no store there, so nothing was searched.
    """
    if store.format is StoreFormat.SQLITE:
        if not store.path.is_file():
            raise FileNotFoundError(store.name)
        companions = (store.path.with_name(store.path.name + end) for end in _COMPANIONS)
        yield from (file for file in companions if file.is_file())
        return
    if not store.path.is_dir():
        raise FileNotFoundError(store.name)
    for folder, _, names in os.walk(store.path, onerror=_raise):
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file() and not file.is_symlink():
                yield file


def _raise(error: OSError) -> None:
    """Refuse to skip a folder that cannot be listed."""
    raise error


def _findings(hits: Collection[_Hit]) -> tuple[Finding, ...]:
    needles: dict[tuple[NeedleKind, str], set[int]] = {}
    for hit in hits:
        needles.setdefault((hit.kind, hit.file), set()).add(hit.needle)
    return tuple(Finding(kind, file, len(met)) for (kind, file), met in sorted(needles.items()))


def _left(hits: Collection[_Hit]) -> tuple[tuple[NeedleKind, int], ...]:
    met = {(hit.kind, hit.needle) for hit in hits}
    return tuple(sorted(Counter(kind for kind, _ in met).items()))
