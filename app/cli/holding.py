"""``lethe hold``: legal holds on people, at a running service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from app.cli.options import LOCAL, AsJson, User, Users, read_users, tell
from app.domain.erasure.request import Ground
from app.domain.errors import FieldError, InvalidInputError


def hold(
    user: User = None,
    *,
    users: Users = None,
    ground: Annotated[
        Ground | None, typer.Option(help="Why their data have to stay (GDPR Art. 17(3)).")
    ] = None,
    is_lifted: Annotated[
        bool, typer.Option("--lift", help="End it; requests on hold are released one by one.")
    ] = False,
    url: Annotated[str, typer.Option(envvar="LETHE_URL", help="A running service.")] = LOCAL,
    admin_token: Annotated[
        str, typer.Option(envvar="LETHE_ADMIN_TOKEN", help="An operator's token.")
    ] = "dev-admin-token",  # noqa: S107 - public; taken on the loopback interface only
    as_json: AsJson = False,
) -> None:
    """Let nothing of a person be erased for now (a legal hold), or let it again.

    \b
    lethe hold ann --ground legal_claims
    lethe hold - --ground legal_obligation < people.txt
    lethe hold ann --lift

    What they ask for meanwhile is suppressed at once and waits. Prints a line for each, in their
    order and without the id; exit code 1 if a hold came too late for one of them.
    """  # noqa: D301 - click keeps the lines below a backspace as they are
    from app.cli.remote import Remote

    if (ground is None) is not is_lifted:
        raise typer.BadParameter("say why with --ground, or end a hold with --lift")
    n_late = 0
    with Remote(url, token=admin_token) as service:
        for found in put(read_users(user, users), ground, service=service):
            n_late += "problem" in found
            words = found.get("problem") or f"{found['n_on_hold']} requests on hold"
            tell(found, words, as_json=as_json)
    if n_late:
        raise typer.Exit(1)


def put(
    users: Sequence[str],
    ground: Ground | None,
    *,
    service: Any,  # noqa: ANN401 - Remote, imported late
) -> Iterator[dict[str, Any]]:
    """Hold people, or with no ground let them go; yields what became of each, in their order.

    Raises:
        InvalidInputError: nobody may be held with this token.
        DependencyUnavailableError: the service does not answer.
    """
    for user in users:
        try:
            yield service.post("/admin/holds", {"user": user, "ground": ground})
        except InvalidInputError as error:
            problem: FieldError = error.errors[0]
            if problem.field.startswith("--"):
                raise
            yield {"problem": problem.message}
