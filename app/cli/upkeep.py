"""``lethe reindex``, ``rebalance``, ``backup``, ``restore``: what operators do to the stores."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import AsJson, DataDir, tell


def reindex(
    *,
    shard: Annotated[
        list[int] | None, typer.Option(min=0, help="Number of a shard; may repeat.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every shard.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Copy shards of the memory into fresh collections, and remove the old files.

    Gives back the slots of erased memories. A shard whose files are damaged is written anew from
    the database. Beside a Chroma server the service may run; embedded, stop it first.
    """
    if is_all is bool(shard):
        raise typer.BadParameter("say which with --shard, or --all")
    from app.cli.runtime import open_runtime

    with open_runtime(data_dir) as runtime:
        done = runtime.container.restore.reindex(None if is_all else shard)
    tell(
        asdict(done),
        f"{done.shards} shards re-indexed, {done.copied} memories copied, "
        f"{done.emptied} damaged shards written anew",
        as_json=as_json,
    )


def rebalance(
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move shards of the memory that belong on another Chroma server, and remove the old files.

    Run it beside each server once every process knows all of LETHE_CHROMA__URLS; the service may
    run. Each shard is copied, compared and then switched; what was cut off is done by the next run.
    """
    from app.cli.runtime import open_runtime

    with open_runtime(data_dir) as runtime:
        done = runtime.container.restore.rebalance()
    tell(
        {"shards": done.shards, "copied": done.copied},
        f"{done.shards} shards moved, {done.copied} memories copied",
        as_json=as_json,
    )


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder; as secret as the data.")],
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Copy rows, vault and signing keys, in this order, beside a running service too.

    Not the pepper, nor the key-encryption key: keep those elsewhere, for together they open it.
    Memories are made anew from the rows. With PostgreSQL this needs its pg_dump.
    """
    from app.bootstrap.backup import back_up
    from app.settings import load_settings

    manifest = back_up(load_settings(data_dir=data_dir), folder)
    copied = f"{', '.join(manifest['stores'])}, {len(manifest['files'])} files"
    tell(manifest, f"{folder}: {copied}", as_json=as_json)


def restore(
    folder: Annotated[Path, typer.Argument(help="What lethe backup has written.")],
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put back each store that is lost, and none that is there; then start the service.

    Take away what is damaged first, and the vault never unless it is lost: it knows who was
    erased since. The start forgets them again before it answers anything.
    """
    from app.bootstrap.backup import restore as put_back
    from app.settings import load_settings

    lost = put_back(load_settings(data_dir=data_dir), folder)
    words = [f"{name}: {'put back' if lost[name] else 'there, and left alone'}" for name in lost]
    words.append("memory: compared with the rows at the next start, made anew where it is lost")
    tell({"put_back": lost}, "\n".join(words), as_json=as_json)
