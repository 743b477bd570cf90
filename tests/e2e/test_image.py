"""The image, as far as it can be tried without a container engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.servers.compose import ROOT


def test_nothing_needs_what_the_image_leaves_out(tmp_path: Path) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (unused,) = re.findall(r'^ARG UNUSED="(.+)"$', dockerfile, re.MULTILINE)
    packages = unused.replace("-", "_").split()
    program = f"""
import os, sys
sys.modules.update(dict.fromkeys({packages}))  # None: an import of it fails
import app.main, chromadb.cli.cli, workers.celery_app
from app.bootstrap.adapters import Adapters
from app.bootstrap.database import prepare_database
from app.settings import load_settings
from contextlib import ExitStack
del os.environ["LETHE_REDIS__URL"]  # which workers want, and nothing here answers
settings = load_settings()
prepare_database(settings)
with ExitStack() as closing:
    Adapters(settings, closing).embedder.embed(["a text"])
print("done")
"""
    environment = {"PATH": os.environ["PATH"], "LETHE_DATA_DIR": str(tmp_path)}
    environment |= {"LETHE_REDIS__URL": "redis://127.0.0.1:9/0", "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.endswith("done\n"), done.stderr
