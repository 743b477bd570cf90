"""Copies the worked examples into ``docs/extending.md``: ``make docs``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "extending.md"
_SHOWN: Final = re.compile(r"<!-- (examples/\w+\.py) -->\n.*?<!-- end -->", re.DOTALL)


def fill(page: str) -> str:
    """Return the page with each example as its file says it now."""
    return _SHOWN.sub(lambda found: _shown(found[1]), page)


def _shown(name: str) -> str:
    code = (PAGE.parent / name).read_text(encoding="utf-8")
    return f"<!-- {name} -->\n```python\n{code}```\n<!-- end -->"


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
