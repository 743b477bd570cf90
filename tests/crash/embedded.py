"""Running an embedded Lethe in a folder, again and again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.adapters.chroma.client import ChromaDatabase
from tests.crash.points import FORGOTTEN, Run, lists_of_bystanders
from tests.crash.remains import Remains, remains
from tests.e2e.calls import calling, user
from tests.e2e.processes import QUICK, serving


def environment_of(folder: Path) -> dict[str, str]:
    """Return the settings of a Lethe with all its files in ``folder``."""
    return QUICK | {"LETHE_DATA_DIR": str(folder)}


def finish(folder: Path, requests: Mapping[str, str]) -> Run:
    """Wait for these requests, forget whoever is left to be forgotten, and look at the end."""
    with serving(environment_of(folder), folder=folder) as running, calling(running.url) as api:
        statuses = {point: api.completed(one) for point, one in requests.items()}
        for n in FORGOTTEN[len(requests) :]:
            api.completed(api.forget(user(n))["request_id"])
        lists = lists_of_bystanders(api)
    with ChromaDatabase.embedded(folder / "chroma") as chroma:
        return Run(statuses, lists, _remains(folder, chroma))


def _remains(folder: Path, chroma: ChromaDatabase) -> Remains:
    return remains(
        f"sqlite:///{folder}/lethe.db", vault_url=f"sqlite:///{folder}/vault.db", chroma=chroma
    )
