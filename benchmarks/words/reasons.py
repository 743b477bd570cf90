"""Give a hundred reasons from facts, to be read by a person.

    python -m benchmarks.words.reasons [--seed 2026]

The first five items of twenty random readers of the demo set, as the service would list them, each
with the two remembered items that speak most for it. ``given`` is for how many there was a reason.
``reasons_read.txt`` has the hash of the texts that were read, and those that said too little to be
a reason; of other texts than those ``not_sensible`` is null.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Final

import numpy as np

from app.domain.models import Kind
from app.domain.recommendation.prompt import ShownMemory
from app.domain.recommendation.reasons import reason_from_facts
from app.ports.dataset import DatasetKind
from benchmarks.harness import write_result
from benchmarks.llm.people import People, Raw

READERS: Final = 20
ITEMS: Final = 5
READ: Final = Path(__file__).with_name("reasons_read.txt")


def reasons(seed: int) -> list[str]:
    """Return a line for each recommended item: its title, and the reason or a dash."""
    people = People(Raw.read(DatasetKind.DEMO), part="test")
    chosen = np.random.default_rng(seed).choice(len(people.persons), READERS, replace=False)
    lines = []
    for number in sorted(chosen.tolist()):
        for item, speaking in people.spoken_for(people.persons[number], top_n=ITEMS):
            memories = [ShownMemory(Kind.RATING, one) for one in speaking]
            found = reason_from_facts(item, memories, language="en")
            lines.append(f"{item.title} <- {found.text if found else '-'}")
    return lines


def main() -> None:
    """Write the reasons, and what was said of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2026)
    seed = parser.parse_args().seed
    lines = reasons(seed)
    read = READ.read_text("utf-8").split("\n") if READ.is_file() else []
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    odd = [line for line in read[1:] if line]
    path = write_result(
        "reasons",
        {
            "seed": seed,
            "items": len(lines),
            "given": sum(not line.endswith(" -") for line in lines),
            "not_sensible": len(odd) if read and read[0] == digest else None,
            "read": digest,
            "reasons": lines,
        },
    )
    print(path)


if __name__ == "__main__":
    main()
