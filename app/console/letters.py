"""Letters to people, from templates that an operator may translate or replace."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    select_autoescape,
)

from app.api.state import Sender
from app.console import words
from app.domain.erasure.request import ErasureRequest, RequestState


class Letter(StrEnum):
    """What a person is told."""

    RECEIVED = "received"
    EXTENDED = "extended"
    DONE = "done"
    REFUSED = "refused"


def letters_for(request: ErasureRequest) -> list[Letter]:
    """Return the letters that are true of a request as it stands."""
    is_true = {
        Letter.RECEIVED: True,
        Letter.EXTENDED: request.extension is not None,
        Letter.DONE: request.state is RequestState.COMPLETED,
        Letter.REFUSED: request.state is RequestState.REJECTED,
    }
    return [letter for letter, holds in is_true.items() if holds]


def letter_text(letter: Letter, request: ErasureRequest, *, sender: Sender) -> str:
    """Return a letter as plain text. It names nobody: who sends it knows to whom.

    Raises:
        jinja2.TemplateError: an operator's template is wrong.
    """
    template = _environment(sender.folder).get_template(f"{letter}.txt")
    return template.render(request=request, sender=sender)


def _environment(folder: Path | None) -> Environment:
    ours = PackageLoader("app.console", "templates/letters")
    loader = ours if folder is None else ChoiceLoader([FileSystemLoader(folder), ours])
    # Nothing is escaped in .txt; the page that shows a letter does it.
    environment = Environment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=select_autoescape(),
        trim_blocks=True,
    )
    environment.filters |= {"day": words.day, "spoken": words.spoken, "count": words.count}
    return environment
