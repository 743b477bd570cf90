"""What runs here: the release, a hash of the settings, and what the searches can read."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

from app.adapters.db.engine import sqlite_file
from app.bootstrap.adapters import probed_stores
from app.domain.canonical_json import canonical_json
from app.domain.certificates.statement import STANDARD_LIMITS, Deployment, Limit
from app.settings import Settings


def deployment_of(settings: Settings) -> Deployment:
    """Return what certificates say of this deployment."""
    return Deployment(
        release=f"lethe {version('lethe')} ({settings.commit or 'commit unknown'})",
        config=_config_hash(settings),
        reach=_reach(settings),
        limits=(*STANDARD_LIMITS, *_unread_limits(settings)),
        policy=_policy(settings),
    )


def _policy(settings: Settings) -> str | None:
    path = settings.audit.policy
    return None if path is None else path.read_text(encoding="utf-8")


def _config_hash(settings: Settings) -> str:
    """Return SHA-256 over the settings; a secret counts as set or unset."""
    plain = settings.model_dump(mode="json")  # secrets are dumped as asterisks
    numbers_as_text = {name: str(value) for name, value in sorted(plain.items())}
    return hashlib.sha256(canonical_json(numbers_as_text)).hexdigest()


def _unread(settings: Settings) -> list[str]:
    """Return the stores whose files lie on a server, out of this process's reach."""
    urls = {"rows": settings.database_url, "vault": settings.vault_url}
    return [name for name, url in urls.items() if sqlite_file(url) is None]


def _unread_limits(settings: Settings) -> list[Limit]:
    """Return what this deployment cannot certify, because it cannot read the files."""
    return [
        Limit(f"{name}-files", f"Files of the database server that keeps the store {name}.")
        for name in _unread(settings)
    ]


def _reach(settings: Settings) -> str:
    read = [one.name for one in probed_stores(settings)]
    unread = _unread(settings)
    searched = f"The files of {_listed(read)} were searched byte by byte."
    if not unread:
        return f"{searched} The service keeps personal data nowhere else on disk."
    return (
        f"{searched} Those of {_listed(unread)} lie on database servers and could not be: "
        "there, rows were deleted and counted."
    )


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names) or "no store"
