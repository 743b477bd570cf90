"""Renders ``docs/decisions/README.md`` from the pages beside it: ``make docs`` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "docs" / "decisions"
PAGE: Final = FOLDER / "README.md"
_HEAD: Final = """\
# Decisions

What would surprise a newcomer, why it is so, and what else was looked at
([0001](0001-record-decisions.md)). Each page opens with what was decided and why it matters; those
lines are repeated here. This page is made by `make docs`.
"""


def pages() -> list[Path]:
    """Return the decisions in the order of their numbers."""
    return sorted(FOLDER.glob("[0-9]*.md"))


def opening(page: Path) -> str:
    """Return what stands between the head of a decision and its context, as one line."""
    before, _, _ = page.read_text(encoding="utf-8").partition("\n## Context\n")
    _, _, opening = before.partition("\n\n")
    return " ".join(opening.split())


def render() -> str:
    """Return the page."""
    lines = [_HEAD]
    for page in pages():
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({page.name}): {opening(page)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
