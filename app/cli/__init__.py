"""The command line: ``lethe``."""

from __future__ import annotations

import sys
from typing import Final

import typer

from app.adapters.chroma.heap import require_overwritten_heap
from app.cli import data, keys, proof, serve, upkeep
from app.domain.errors import AppError
from app.settings import SettingsError

_FAILED: Final = 1
app: Final = typer.Typer(
    name="lethe",
    help="Recommends from a user's own memory, and can prove that it has forgotten.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    serve.serve,
    serve.worker,
    serve.migrate,
    data.load,
    data.recommend,
    data.forget,
    proof.verify,
    proof.probe,
    keys.rewrap,
    upkeep.reindex,
):
    app.command()(command)
app.add_typer(proof.audit, name="audit")
app.add_typer(proof.keys, name="keys")


def main() -> None:
    """Run; what went wrong is one line on standard error and exit code 1."""
    require_overwritten_heap()  # may start the program anew, so it comes before anything else
    try:
        app()
    except (AppError, SettingsError) as error:
        print(f"lethe: {error}", file=sys.stderr)
        raise SystemExit(_FAILED) from None
