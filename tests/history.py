"""The version before this one, as far as the checkout has it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
BEFORE: Final = "56ce7e8600798aa95605cc618b22365e6b2e675a"
"""The commit of the version before, until there is a tag of one."""


def reaches_back() -> bool:
    """Whether the checkout has that commit; a shallow clone has not, nor has a folder of files."""
    command = ["git", "cat-file", "-e", f"{BEFORE}^{{commit}}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0
