"""``lethe access``: the keys of calling systems and of staff."""

from __future__ import annotations

import json
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from app.domain.access import ROLES, AccessKey, Scope

DataDir = Annotated[Path | None, typer.Option(help="Directory of all files.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of words.")]
Name = Annotated[str, typer.Argument(help="Whose; it stands in the audit log for ever.")]
access: Final = typer.Typer(help="Keys of calling systems and of staff.", no_args_is_help=True)


class Grant(StrEnum):
    """What a calling system may do."""

    READ = "read"
    INGEST = "ingest"
    FORGET = "forget"


class Role(StrEnum):
    """What a member of staff may do."""

    AUDITOR = "auditor"
    OPERATOR = "operator"


@access.command("create")
def create(
    name: Name,
    *,
    scope: Annotated[
        list[Grant] | None, typer.Option(help="Of a calling system; may repeat.")
    ] = None,
    role: Annotated[
        Role | None, typer.Option(help="Of a member of staff: reads, or acts, too.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print its token, which is kept nowhere and cannot be told again."""
    from app.bootstrap.access import open_access

    if bool(scope) is (role is not None):
        raise typer.BadParameter("say what it opens: --scope for a system, --role for a person")
    scopes = ROLES[role] if role else frozenset(Scope(one) for one in scope or ())
    with open_access(data_dir) as service:
        _tell(name, service.create(name, scopes), as_json=as_json)


@access.command("rotate")
def rotate(
    name: Name,
    *,
    keep_old_h: Annotated[
        float, typer.Option(min=0, max=720, help="Hours that the present key goes on.")
    ] = 24,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make the next key of a name and print its token; the present one goes on for a while."""
    from app.bootstrap.access import open_access

    with open_access(data_dir) as service:
        token = service.rotate(name, keep_old=timedelta(hours=keep_old_h))
        _tell(name, token, as_json=as_json)


@access.command("revoke")
def revoke(name: Name, *, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """End all keys of a name; every process heeds it within five seconds."""
    from app.bootstrap.access import open_access

    with open_access(data_dir) as service:
        n_ended = service.revoke(name)
    told = f"{n_ended} keys of {name} open nothing any more"
    print(json.dumps({"name": name, "n_ended": n_ended}) if as_json else told)


@access.command("list")
def list_keys(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print who holds keys, without what they open things with."""
    from app.bootstrap.access import open_access

    with open_access(data_dir) as service:
        keys = service.all()
    if as_json:
        print(json.dumps([_shown(one) for one in keys]))
        return
    for key in keys:
        ends = f"ends {key.ends_at:%Y-%m-%d %H:%M} UTC" if key.ends_at else "no end"
        print(f"{key.holder.name}  {' '.join(sorted(key.holder.scopes))}  {ends}")


def _shown(key: AccessKey) -> dict[str, object]:
    return {
        "name": key.holder.name,
        "key": key.holder.key_id,
        "scopes": sorted(key.holder.scopes),
        "created_at": key.created_at.isoformat(timespec="seconds"),
        "ends_at": key.ends_at.isoformat(timespec="seconds") if key.ends_at else None,
    }


def _tell(name: str, token: str, *, as_json: bool) -> None:
    print(json.dumps({"name": name, "token": token}) if as_json else token)
