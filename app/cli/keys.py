"""``lethe rewrap``: replacing the key-encryption key."""

from __future__ import annotations

from contextlib import ExitStack

from app.cli.options import AsJson, DataDir, tell


def rewrap(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Wrap all users' keys by the first of LETHE_VAULT__KEK; the others may go then.

    The service may run meanwhile, once each of its processes was started with both.
    """
    from app.adapters.system.clock import SystemClock
    from app.bootstrap.vault import open_vault
    from app.settings import load_settings

    with ExitStack() as stack:
        vault = open_vault(load_settings(data_dir=data_dir), stack, clock=SystemClock())
        done = {"rewrapped": vault.rewrap(), "keys": vault.count()}
    tell(done, "{rewrapped} of {keys} keys rewrapped".format(**done), as_json=as_json)
