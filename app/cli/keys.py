"""``lethe rewrap``: replacing the key-encryption key."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer


def rewrap(
    *,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of all files.")] = None,
) -> None:
    """Wrap all users' keys by the first of LETHE_VAULT__KEK; the others may go then.

    The service may run meanwhile, once each of its processes was started with both.
    """
    from app.adapters.system.clock import SystemClock
    from app.bootstrap.vault import open_vault
    from app.settings import load_settings

    with ExitStack() as stack:
        vault = open_vault(load_settings(data_dir=data_dir), stack, clock=SystemClock())
        print(f"{vault.rewrap()} of {vault.count()} keys rewrapped")
