"""Needles and reports as JSON, between the service and the probe's own process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from app.adapters.probe.stores import Asked, ProbedStore, StoreFormat
from app.domain.erasure import fingerprint
from app.domain.erasure.manifest import needles_from_json, needles_to_json
from app.domain.erasure.residue import Finding, NeedleKind, ProbeReport


def encode_stores(stores: Sequence[ProbedStore]) -> bytes:
    """Return what ``decode_stores`` reads, in one line."""
    told = [
        {
            "name": store.name,
            "format": store.format,
            "path": str(store.path),
            "control": sorted(store.control),
        }
        for store in stores
    ]
    return json.dumps(told).encode()


def decode_stores(raw: bytes) -> list[ProbedStore]:
    """Return the stores."""
    return [
        ProbedStore(
            name=store["name"],
            format=StoreFormat(store["format"]),
            path=Path(store["path"]),
            control=frozenset(NeedleKind(kind) for kind in store["control"]),
        )
        for store in json.loads(raw)
    ]


def encode_asked(asked: Asked) -> bytes:
    """Return what ``decode_asked`` reads, in one line."""
    sides = (*asked.groups, asked.control)
    told = {
        "sides": [needles_to_json(needles) for needles in sides],
        "fingerprints": [fingerprint.encode(needles.fingerprints) for needles in sides],
        "key": asked.key.hex(),
    }
    return json.dumps(told).encode()


def decode_asked(raw: bytes) -> Asked:
    """Return what somebody has searched for."""
    told = json.loads(raw)
    *groups, control = (
        replace(needles_from_json(needles), fingerprints=fingerprint.decode(fingerprints))
        for needles, fingerprints in zip(told["sides"], told["fingerprints"], strict=True)
    )
    return Asked(groups, control, bytes.fromhex(told["key"]))


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
