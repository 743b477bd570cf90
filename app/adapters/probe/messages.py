"""Needles and reports as JSON, between the service and the probe's own process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from app.adapters.probe.stores import ProbedStore, StoreFormat
from app.domain.erasure import fingerprint
from app.domain.erasure.manifest import needles_from_json, needles_to_json
from app.domain.erasure.residue import Finding, NeedleKind, Needles, ProbeReport


def encode_task(
    stores: Sequence[ProbedStore], *, groups: Sequence[Needles], control: Needles, key: bytes
) -> bytes:
    """Return what ``decode_task`` reads."""
    task = {
        "stores": [
            {
                "name": store.name,
                "format": store.format,
                "path": str(store.path),
                "control": sorted(store.control),
            }
            for store in stores
        ],
        "groups": [needles_to_json(needles) for needles in groups],
        "control": needles_to_json(control),
        "fingerprints": [
            fingerprint.encode(needles.fingerprints) for needles in (*groups, control)
        ],
        "key": key.hex(),
    }
    return json.dumps(task).encode()


def decode_task(raw: bytes) -> tuple[list[ProbedStore], list[Needles], Needles, bytes]:
    """Return (stores, groups of needles, control, key of their fingerprints)."""
    task = json.loads(raw)
    stores = [
        ProbedStore(
            name=store["name"],
            format=StoreFormat(store["format"]),
            path=Path(store["path"]),
            control=frozenset(NeedleKind(kind) for kind in store["control"]),
        )
        for store in task["stores"]
    ]
    *groups, control = (
        replace(needles_from_json(needles), fingerprints=fingerprint.decode(fingerprints))
        for needles, fingerprints in zip(
            (*task["groups"], task["control"]), task["fingerprints"], strict=True
        )
    )
    return stores, groups, control, bytes.fromhex(task["key"])


def encode_reports(by_store: Sequence[Sequence[ProbeReport]]) -> bytes:
    """Return what ``decode_reports`` reads: of each store one report a group."""
    return json.dumps([[asdict(report) for report in reports] for reports in by_store]).encode()


def decode_reports(raw: bytes) -> list[tuple[ProbeReport, ...]]:
    """Return of each group one report a store."""
    by_store = [[_report(fields) for fields in reports] for reports in json.loads(raw)]
    return list(zip(*by_store, strict=True))


def _report(fields: dict[str, Any]) -> ProbeReport:
    plain = {name: value for name, value in fields.items() if name not in {"findings", "left"}}
    return ProbeReport(
        **plain,
        left=tuple((NeedleKind(kind), n) for kind, n in fields["left"]),
        findings=tuple(
            Finding(NeedleKind(found["kind"]), found["file"], found["needles"])
            for found in fields["findings"]
        ),
    )
