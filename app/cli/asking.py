"""``lethe recommend``, with the stores of this machine or over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def recommended_here(
    users: Sequence[str], n: int, *, data_dir: Path | None
) -> Iterator[dict[str, Any]]:
    """Recommend from the stores of this machine; yields a list each, as the API tells it."""
    from app.api.recommended import RecommendationOut
    from app.cli.runtime import open_runtime
    from app.services.recommendation.query import RecommendQuery
    from app.wire.ids import user_id

    ids = [user_id(one) for one in users]
    with open_runtime(data_dir) as runtime:
        container = runtime.container
        container.feed.start()
        for user in ids:
            query = RecommendQuery(pseudonym=container.identity.pseudonym(user), n=n)
            answer = container.recommend.recommend(query)
            yield RecommendationOut.from_domain(answer, user=user).model_dump(mode="json")
        container.feed.stop()


def recommended_there(
    users: Sequence[str], n: int, *, url: str, token: str
) -> Iterator[dict[str, Any]]:
    """Ask a running service for each."""
    from app.cli.remote import Remote

    with Remote(url, token=token) as service:
        for user in users:
            yield service.post("/recommend", {"user": user, "n": n})
