"""``lethe forget``, with the stores of this machine or over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def forget_here(
    users: Sequence[str], items: Sequence[str], *, data_dir: Path | None
) -> Iterator[dict[str, Any]]:
    """Erase with the stores of this machine; yields what became of each request."""
    from app.cli.runtime import open_runtime
    from app.domain.erasure.scope import AllScope, ItemsScope
    from app.domain.models import ItemId
    from app.services.audit.certificates import commit
    from app.services.erasure.requests import ForgetCommand
    from app.wire.ids import item_id, user_id

    wanted = tuple(sorted({ItemId(item_id(one)) for one in items}))
    scope = ItemsScope(wanted) if wanted else AllScope()
    ids = [user_id(one) for one in users]
    with open_runtime(data_dir) as runtime:
        container = runtime.container
        for user in ids:
            pseudonym = container.identity.pseudonym(user)
            command = ForgetCommand(pseudonym=pseudonym, scope=scope, about=commit(user))
            accepted = container.forget.accept(command)
            request_id = accepted.request.request_id
            container.erase.execute(request_id)
            found = container.forget.status(request_id)
            yield {
                "request_id": request_id,
                "status": found.request.state.value,
                "touched": {f"{one.step}/{one.store}": one.touched for one in found.steps},
            }


def forget_there(
    users: Sequence[str], items: Sequence[str], *, url: str, token: str
) -> Iterator[dict[str, Any]]:
    """Ask a running service for all of them at once, then wait for each."""
    from app.cli.remote import Remote

    scope: dict[str, object] = {"kind": "all"}
    if items:
        scope = {"kind": "items", "item_ids": list(items)}
    with Remote(url, token=token) as service:
        taken = [service.forget(user, scope)["request_id"] for user in users]
        for request_id in taken:
            done = service.finished(request_id)
            touched = {f"{one['step']}/{one['store']}": one["touched"] for one in done["steps"]}
            yield {"request_id": request_id, "status": done["status"], "touched": touched}


def send_file(
    file: Path, report: Path | None, *, url: str, token: str, is_awaited: bool
) -> dict[str, int]:
    """Have everybody in a file forgotten; return how many lines ended how."""
    from app.cli.forget_file import forget_file
    from app.cli.remote import Remote

    with Remote(url, token=token) as service:
        return forget_file(file, service, report_path=report, is_awaited=is_awaited)
