"""Generators of clients, which are no servers but as likely to be missing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from tests.servers import ServerMissingError, beyond_path

BIN: Final = Path(__file__).parents[2] / ".venv-clients" / "bin"


def generator(name: str, *, needs: str = "") -> str:
    """Return the path of a generator that ``make setup-clients`` installs.

    Raises:
        ServerMissingError: it is not there, or not what it ``needs``.
    """
    program = beyond_path([BIN / name])
    if program is None:
        raise ServerMissingError(f"{name} is not installed (make setup-clients)")
    if needs and shutil.which(needs) is None:
        raise ServerMissingError(f"{name} needs {needs}, which is not installed")
    return str(program)
