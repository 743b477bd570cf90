"""What several commands take and tell in the same words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from app.domain.errors import FieldError, InvalidInputError

PUBLIC_TOKEN: Final = "dev-service-token"  # noqa: S105 - taken on the loopback interface only
LOCAL: Final = "http://127.0.0.1:8000"
DataDir = Annotated[
    Path | None, typer.Option(help="Directory of all files; LETHE_DATA_DIR otherwise.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, one document a line, for programs.")]
Url = Annotated[
    str | None,
    typer.Option(envvar="LETHE_URL", help="A running service to ask, not the files here."),
]
Token = Annotated[str, typer.Option(envvar="LETHE_TOKEN", help="Token for --url.")]
User = Annotated[str | None, typer.Argument(help="The user's id; - reads ids from standard input.")]
Users = Annotated[
    Path | None,
    typer.Option(help="File of user ids, one a line.", exists=True, dir_okay=False),
]


def tell(found: object, words: str, *, as_json: bool) -> None:
    """Print what was found: in words, or as a line of JSON."""
    print(json.dumps(found, ensure_ascii=False) if as_json else words, flush=True)


def read_users(
    user: str | None, file: Path | None, *, piped: Iterable[str] = sys.stdin
) -> list[str]:
    """Return the ids that were given: one, those of a file, or those of standard input.

    Raises:
        InvalidInputError: none was given, or more than one way was taken.
    """
    if (user is None) is (file is None):
        raise InvalidInputError(FieldError("USER", "give one id, - for standard input, or --users"))
    if user is not None and user != "-":
        return [user]
    lines = file.read_text(encoding="utf-8").splitlines() if file else piped
    return [line.rstrip("\n") for line in lines if line.strip()]
