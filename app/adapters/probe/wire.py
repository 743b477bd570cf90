"""Needles and reports as JSON, between the service and the probe's own process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from app.adapters.probe.stores import ProbedStore, StoreFormat
from app.domain.needle_box import needles_from_json, needles_to_json
from app.domain.residue import Finding, NeedleKind, Needles, ProbeReport


def encode_task(stores: Sequence[ProbedStore], *, needles: Needles, control: Needles) -> bytes:
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
        "needles": needles_to_json(needles),
        "control": needles_to_json(control),
    }
    return json.dumps(task).encode()


def decode_task(raw: bytes) -> tuple[list[ProbedStore], Needles, Needles]:
    """Return (stores, needles, control)."""
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
    return stores, needles_from_json(task["needles"]), needles_from_json(task["control"])


def encode_reports(reports: Sequence[ProbeReport]) -> bytes:
    """Return what ``decode_reports`` reads."""
    return json.dumps([asdict(report) for report in reports]).encode()


def decode_reports(raw: bytes) -> tuple[ProbeReport, ...]:
    """Return the reports."""
    return tuple(
        ProbeReport(
            **{name: value for name, value in report.items() if name not in {"findings", "left"}},
            left=tuple((NeedleKind(kind), n) for kind, n in report["left"]),
            findings=tuple(
                Finding(NeedleKind(found["kind"]), found["file"], found["needles"])
                for found in report["findings"]
            ),
        )
        for report in json.loads(raw)
    )
