"""``lethe reindex``: what an operator does to the vector store."""

from __future__ import annotations

from dataclasses import asdict
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
