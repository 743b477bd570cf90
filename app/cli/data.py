"""``lethe load``, ``recommend`` and ``forget``: the use cases without HTTP."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from app.ports.dataset import DatasetKind

_SOME_LINES_REFUSED: Final = 3


def load(
    kind: Annotated[DatasetKind, typer.Argument(help="What to read.")],
    path: Annotated[Path | None, typer.Argument(help="File or folder; none for demo.")] = None,
    *,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of all files.")] = None,
) -> None:
    """Load a data set; broken off, it goes on where it was; repeated, nothing changes."""
    from app.cli.runtime import load_dataset, open_runtime

    with open_runtime(data_dir) as runtime:
        result = load_dataset(runtime, kind=kind, path=path)
    if result.bad:
        raise typer.Exit(_SOME_LINES_REFUSED)


def recommend(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    *,
    n: Annotated[int, typer.Option(min=1, max=100, help="How many items.")] = 10,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of all files.")] = None,
) -> None:
    """Recommend, as GET /recommend does."""
    from app.api.recommended import RecommendationOut
    from app.cli.runtime import open_runtime
    from app.services.recommendation.service import RecommendQuery

    with open_runtime(data_dir) as runtime:
        container = runtime.container
        container.feed.start()
        query = RecommendQuery(pseudonym=container.identity.pseudonym(user), n=n)
        answer = container.recommend.recommend(query)
        print(RecommendationOut.from_domain(answer, user=user).model_dump_json(indent=2))
        container.feed.stop()


def forget(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    *,
    item: Annotated[list[str] | None, typer.Option(help="Only this item; may repeat.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of all files.")] = None,
) -> None:
    """Forget a user, or some of their items, and wait until it is done."""
    from app.cli.runtime import open_runtime
    from app.domain.erasure.request import RequestState
    from app.domain.erasure.scope import AllScope, ItemsScope
    from app.domain.models import ItemId
    from app.services.erasure.requests import ForgetCommand

    with open_runtime(data_dir) as runtime:
        container = runtime.container
        scope = ItemsScope(tuple(sorted(ItemId(one) for one in item))) if item else AllScope()
        pseudonym = container.identity.pseudonym(user)
        accepted = container.forget.accept(ForgetCommand(pseudonym=pseudonym, scope=scope))
        request_id = accepted.request.request_id
        container.erase.execute(request_id)
        found = container.forget.status(request_id)
        journal = {f"{one.step}/{one.store}": one.touched for one in found.steps}
        status = found.request.state.value
        print(json.dumps({"request_id": request_id, "status": status, "touched": journal}))
    if found.request.state is not RequestState.COMPLETED:
        print("lethe: not completed yet; the sweeper goes on with it", file=sys.stderr)
        raise typer.Exit(1)
