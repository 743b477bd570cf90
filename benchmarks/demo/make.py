"""Makes the readers of the demo set, which the service ships as a file.

python -m benchmarks.demo.make    # writes app/data/demo/interactions.ndjson.gz anew
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from app.adapters.datasets.registry import DEMO_FOLDER, open_dataset
from app.domain.models import Item, ReportedInteraction
from app.ports.dataset import DatasetKind, ItemRecord
from benchmarks.demo.readers import DEFAULT_SEED, Shelf, simulate

HERE: Final = Path(__file__).parent
NOTES: Final[dict[str, list[str]]] = json.loads((HERE / "notes.json").read_text("utf-8"))
WELL_KNOWN: Final = (HERE / "well_known.txt").read_text("utf-8").split()


def demo_books() -> list[Item]:
    """Return the demo's books."""
    found = open_dataset(DatasetKind.DEMO, now=datetime.now(UTC)).items()
    return [one.item for one in found if isinstance(one, ItemRecord)]


def demo_readers(*, seed: int = DEFAULT_SEED) -> Iterator[ReportedInteraction]:
    """Yield what the simulated readers do with the demo's books."""
    return simulate(Shelf.of(demo_books(), well_known=WELL_KNOWN, notes=NOTES), seed=seed)


def line_of(act: ReportedInteraction) -> str:
    """Return an interaction as a line in the form of the API."""
    told: dict[str, Any] = asdict(act) | {"occurred_at": act.occurred_at.isoformat()}
    given = {name: value for name, value in told.items() if value is not None}
    return json.dumps(given, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    content = "".join(map(line_of, demo_readers())).encode()
    packed = gzip.compress(content, compresslevel=9, mtime=0)
    (DEMO_FOLDER / "interactions.ndjson.gz").write_bytes(packed)
    print(f"{len(packed)} bytes, {len(content)} unpacked")
