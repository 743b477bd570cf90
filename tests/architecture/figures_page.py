"""Renders ``docs/figures.md`` and the README's figures from the result files: ``make docs``.

Every figure is read out of ``benchmarks/results`` here; none is typed into a page. What stands in
the README between ``<!-- NAME -->`` and ``<!-- /NAME -->`` is replaced by what ``blocks`` returns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.architecture.figures_compared import compared
from tests.architecture.figures_rows import ROWS, at, missed, result, tampered

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "figures.md"
README: Final = ROOT / "README.md"
_HEAD: Final = """\
# Figures

Everything that was measured, each figure read out of the file that it links to by `make docs`. A
file holds commit, date, machine and its load; [benchmarks](../benchmarks/README.md) has the
command that makes it. The machine is two shared cores without a GPU unless a file says otherwise.

| what | figure | files |
| --- | --- | --- |
"""


def render() -> str:
    """Return the page of all figures."""
    lines = [_HEAD]
    for what, told, files, pictures in ROWS:
        links = [f"[{name}](../benchmarks/results/{name}.json)" for name in files]
        links += [f"[picture](images/{name})" for name in pictures]
        lines.append(f"| {what} | {told()} | {', '.join(links)} |\n")
    return "".join(lines)


def promises() -> str:
    """Return the README's table of promises, each with one figure."""
    race, certificate = result("race"), at("erasure_certificates", "one_by_one", "certificate_s")
    hundred = at("erasure_hundred", "summary")
    rows = (
        (
            "Instant",
            (
                "from the commit behind `202 Accepted`, no answer rests on what was forgotten, "
                "not even one that was under way"
            ),
            (
                f"{race['broken_after_the_202']} of {race['recommendations']:,} answers around "
                f"{race['forgets']} forgets"
            ),
            "race",
        ),
        (
            "Exact",
            (
                "the state is bit for bit one built without the data; the user gets a stranger's "
                "list, everybody else the list they would have had"
            ),
            (
                f"{at('neighbours', 'collateral_ml_100k', 'equal_to_rebuild'):,} of "
                f"{at('neighbours', 'collateral_ml_100k', 'lists'):,} lists equal a rebuild's"
            ),
            "neighbours",
        ),
        (
            "Physical",
            (
                "no text, vector, id or key of the user is left in any file that the service can "
                "read, found by a probe that must first find a canary"
            ),
            (
                f"{hundred['clean']} of {hundred['runs']} erasures clean; stock Chroma "
                f"{hundred['runs'] - hundred['stock_dirty']}"
            ),
            "erasure_hundred",
        ),
        (
            "Provable",
            (
                "a signed certificate and an append-only Merkle log, checked offline, that hold no "
                "personal data"
            ),
            (
                f"p95 {certificate['p95']:.1f} s to a certificate; {missed()} of {tampered():,} "
                "changes missed"
            ),
            "audit_tamper",
        ),
    )
    lines = ["| promise | what it means | measured |", "| --- | --- | --- |"]
    for name, meaning, figure, file in rows:
        link = f"[{figure}](benchmarks/results/{file}.json)"
        lines.append(f"| **{name}** | {meaning} | {link} |")
    return "\n".join(lines)


def blocks() -> Mapping[str, str]:
    """Return the README's blocks of figures by name."""
    return {"promises": promises(), "comparison": compared(result)}


def fill(page: str) -> str:
    """Return the README with its figures as the files have them.

    Raises:
        KeyError: the page has a block that nobody makes.
    """
    found = blocks()

    def block(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n{found[match[1]]}\n<!-- /{match[1]} -->"

    return re.sub(r"<!-- ([a-z]+) -->.*?<!-- /\1 -->", block, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    README.write_text(fill(README.read_text("utf-8")), encoding="utf-8")
