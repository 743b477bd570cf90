"""The command line: ``lethe``.

A command imports what it needs when it runs: help and ``verify`` need hardly anything.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import typer

from app.adapters.chroma.heap import require_overwritten_heap
from app.cli import access, data, demo, holding, keys, llm, proof, serve, upkeep, witness
from app.domain.errors import AppError, FieldError, InvalidInputError

_FAILED: Final = 1
_NEXT: Final = {
    "settings": "every name, its unit and its range: docs/settings.md",
    "store_damaged": "lethe reindex --shard N (docs/runbook.md)",
    "log_behind": "lethe audit recover EXPORT (docs/runbook.md)",
    "integrity_error": "lethe audit verify (docs/runbook.md)",
    "key_missing": "put the vault's backup back (docs/runbook.md)",
    "access_refused": "look at LETHE_DATABASE__URL and the other addresses (docs/settings.md)",
}
"""By the code of an error, what to type or to read then; most say it themselves."""
_OFFLINE: Final = frozenset({"demo", "verify", "witness"})
"""Commands that open no store, so that their memory cannot get into a store's files."""
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
    demo.demo,
    data.load,
    data.recommend,
    data.forget,
    holding.hold,
    proof.probe,
    keys.rewrap,
    upkeep.reindex,
    upkeep.rebalance,
    upkeep.backup,
    upkeep.restore,
    witness.witness,
):
    app.command()(command)
app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(proof.verify)
app.add_typer(access.access, name="access")
app.add_typer(proof.audit, name="audit")
app.add_typer(proof.keys, name="keys")
app.add_typer(llm.llm, name="llm")


@app.callback()
def begin(context: typer.Context) -> None:
    """Prepare the process, before any command has imported or opened anything."""
    os.umask(0o077)  # whatever is written is its owner's alone; children inherit it
    if context.invoked_subcommand not in _OFFLINE:
        require_overwritten_heap()  # may start the program anew


def main() -> None:
    """Run; what went wrong is one line on standard error and exit code 1."""
    try:
        _require_text(sys.argv)
        app()
    except AppError as error:
        print(f"lethe: {error}", file=sys.stderr)
        if error.code in _NEXT:
            print(f"next: {_NEXT[error.code]}", file=sys.stderr)
        raise SystemExit(_FAILED) from None


def _require_text(arguments: list[str]) -> None:
    """Refuse bytes that are not UTF-8: no hash of a user id could be made of them."""
    for number, argument in enumerate(arguments):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InvalidInputError(FieldError(f"argument {number}", "not UTF-8")) from None
