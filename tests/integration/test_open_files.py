"""Files that others can reach: a start is refused in production, and told of in development."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from app.bootstrap.adapters import Adapters
from app.bootstrap.database import prepare_database
from app.domain.errors import IntegrityError, SettingsError
from app.settings_groups import AuditSettings, AuthSettings, VaultSettings
from tests.world import open_world, settings_for

SECRET: Final = "0123456789abcdef0123456789abcdef"
PRODUCTION: Final[dict[str, Any]] = {
    "env": "production",
    "pepper": SecretStr(f"p{SECRET}"),
    "vault": VaultSettings(kek=SecretStr(SECRET * 2)),
    "audit": AuditSettings(origin="lethe.example/log"),
    "auth": AuthSettings(
        service_token=SecretStr(f"s{SECRET}"), admin_token=SecretStr(f"a{SECRET}")
    ),
}


def started(folder: Path, **changes: object) -> list[int]:
    """Open a service's files as it does; return how many it told of as open to others."""
    with capture_logs() as told, ExitStack() as closing:
        settings = settings_for(folder, **changes)
        prepare_database(settings)
        Adapters(settings, closing)
    return [one["files"] for one in told if one["event"] == "data_files_open_to_others"]


@pytest.fixture(autouse=True)
def _as_every_process_of_ours() -> Iterator[None]:
    """Write files for the owner alone, as every command does before anything else."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory that a service has made: with signing key, vault, ledger and rows."""
    folder = tmp_path / "data"
    with open_world(folder, **PRODUCTION):
        pass
    return folder


def test_production_refuses_what_others_can_reach(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    for name in ("keys/0001.pem", "vault.db", "lethe.db", "keys", "."):
        path = folder / name
        private = path.stat().st_mode
        for bits in (0o040, 0o004, 0o002):
            path.chmod(private | bits)
            with pytest.raises(SettingsError, match=r"LETHE_DATA_DIR: 1 files.* chmod"):
                started(Path("data"), **PRODUCTION)
        path.chmod(private)

    assert started(folder, **PRODUCTION) == []


@pytest.mark.parametrize("name", ["pepper", "kek", "vault.db"])
def test_development_tells_of_it_and_starts_but_for_keys(tmp_path: Path, name: str) -> None:
    assert started(tmp_path / "data") == []
    path = tmp_path / "data" / name
    path.chmod(0o644)

    if name == "kek":  # what is read once more is refused where it is read
        with pytest.raises(IntegrityError, match="chmod 600"):
            started(tmp_path / "data")
    else:
        assert started(tmp_path / "data") == [1]


def test_a_volume_of_the_services_own_group_is_taken_where_it_is_said_so(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):  # as fsGroup leaves it
        path.chmod(0o2770 if path.is_dir() else 0o660)

    with pytest.raises(SettingsError, match="LETHE_DATA_DIR"):
        started(folder, **PRODUCTION)
    assert started(folder, **PRODUCTION, trust_group=True) == []

    (folder / "keys" / "0001.pem").chmod(0o664)
    with pytest.raises(SettingsError, match="1 files"):
        started(folder, **PRODUCTION, trust_group=True)


def test_a_key_on_such_a_volume_signs(folder: Path) -> None:
    (folder / "keys" / "0001.pem").chmod(0o660)

    with ExitStack() as closing:
        adapters = Adapters(settings_for(folder, **PRODUCTION, trust_group=True), closing)
        assert adapters.signer.current().key.name == "lethe.example/log"
