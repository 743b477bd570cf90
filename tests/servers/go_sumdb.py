"""Go's checksum-database code, by which the module ecosystem checks its own transparency log."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.servers import ServerMissingError

SOURCE: Final = Path(__file__).parent / "sumdb" / "check.go"
_PACKAGES: Final = Path(os.environ.get("LETHE_TEST_GOPATH", "/usr/share/gocode"))
"""Where Debian's golang-golang-x-mod-dev puts the sources."""


def build_checker(folder: Path) -> Path:
    """Compile the checker into ``folder`` and return its path. Without the network.

    Raises:
        ServerMissingError: Go, or its package golang.org/x/mod, is not there.
    """
    go = shutil.which("go")
    if go is None or not (_PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        raise ServerMissingError("Go with golang.org/x/mod is not installed")
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(_PACKAGES),
        "GOCACHE": str(folder / "cache"),
        "CGO_ENABLED": "0",
    }
    program = folder / "check"
    command = [go, "build", "-o", str(program), str(SOURCE)]
    subprocess.run(command, check=True, env=environment, cwd=folder, capture_output=True)
    return program
