"""Needles and reports as JSON, between the service and the probe's own process."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from app.adapters.probe.stores import ProbedStore, StoreFormat
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
        "needles": _encoded(needles),
        "control": _encoded(control),
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
    return stores, _decoded(task["needles"]), _decoded(task["control"])


def encode_reports(reports: Sequence[ProbeReport]) -> bytes:
    """Return what ``decode_reports`` reads."""
    return json.dumps([asdict(report) for report in reports]).encode()


def decode_reports(raw: bytes) -> tuple[ProbeReport, ...]:
    """Return the reports."""
    return tuple(
        ProbeReport(
            **{name: value for name, value in report.items() if name != "findings"},
            findings=tuple(
                Finding(NeedleKind(found["kind"]), found["file"], found["needles"])
                for found in report["findings"]
            ),
        )
        for report in json.loads(raw)
    )


def _encoded(needles: Needles) -> dict[str, list[str]]:
    return {
        "texts": list(needles.texts),
        "documents": list(needles.documents),
        "ids": list(needles.ids),
        "pseudonyms": list(needles.pseudonyms),
        "keys": [base64.b64encode(key).decode() for key in needles.keys],
        "vectors": [
            base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in needles.vectors
        ],
    }


def _decoded(fields: dict[str, Any]) -> Needles:
    return Needles(
        texts=tuple(fields["texts"]),
        documents=tuple(fields["documents"]),
        ids=tuple(fields["ids"]),
        pseudonyms=tuple(fields["pseudonyms"]),
        keys=tuple(base64.b64decode(key) for key in fields["keys"]),
        vectors=tuple(
            np.frombuffer(base64.b64decode(vector), dtype="<f4") for vector in fields["vectors"]
        ),
    )
