"""Fill the tables of docs/benchmark.md and draw its pictures, from the cells alone.

``python -m benchmarks.unlearning.report``. The prose is written by hand; what stands between
``<!-- NAME -->`` and ``<!-- /NAME -->`` is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.unlearning import claims, tables
from benchmarks.unlearning.figures import Cells
from benchmarks.unlearning.pictures import draw
from benchmarks.unlearning.published import beside, faster
from benchmarks.unlearning.runs import told
from benchmarks.unlearning.settled import cells_by_commit, cost, settings
from benchmarks.unlearning.tuning import CELLS

PAGE: Final = Path(__file__).parents[2] / "docs" / "benchmark.md"

_BY_DATA: Final[Mapping[str, Callable[[Cells, str], str]]] = {
    "sanity": claims.sanity,
    "claims": claims.claims,
    "utility": tables.utility,
    "forgetting": tables.forgetting,
    "speed": tables.speed,
    "collateral": tables.collateral,
    "residuals": tables.residuals,
    "memories": tables.memories,
    "special": tables.special,
    "stream": tables.stream,
    "weights": tables.weights,
    "leak": tables.leak,
}


def blocks(cells: Cells, folder: Path) -> dict[str, str]:
    """Return the text of every block by name."""
    found = {
        name: "\n\n".join(_headed(cells, data, make(cells, data)) for data in cells.data())
        for name, make in _BY_DATA.items()
    }
    found["published"] = beside(cells, cells.data())
    found["faster"] = faster(cells, cells.data())
    found["settings"] = settings(cells, folder)
    found["machines"] = "\n".join(
        filter(None, (cells_by_commit(cells), cost(cells, folder), told(folder)))
    )
    return found


def fill(page: str, found: Mapping[str, str]) -> str:
    """Return the page with its blocks replaced.

    Raises:
        KeyError: the page has a block that nobody makes.
    """

    def block(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- {name} -->\n\n{found[name]}\n\n<!-- /{name} -->"

    return re.sub(r"<!-- ([a-z]+) -->.*?<!-- /\1 -->", block, page, flags=re.DOTALL)


def _headed(cells: Cells, data: str, text: str) -> str:
    return f"{data}:\n\n{text}" if len(cells.data()) > 1 else text


def main() -> None:
    """Fill the page and draw the pictures."""
    cells = Cells.read(CELLS)
    page = PAGE.read_text("utf-8")
    PAGE.write_text(fill(page, blocks(cells, CELLS)), encoding="utf-8")
    for path in draw(cells):
        print(path.name)


if __name__ == "__main__":
    main()
