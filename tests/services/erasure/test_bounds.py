"""What one person asks costs the others nothing that grows, and nothing is kept for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from app.adapters.db.engine import open_engine
from app.domain.erasure.scope import AllScope, EventsScope, ItemsScope, Scope, TopicScope
from app.domain.errors import TooManyError
from app.domain.models import ItemId, RequestId
from app.domain.recommendation.topic import MAX_TOPICS, Topic
from app.ports.embedder import Embedder
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.topic_matching import TopicMatcher
from app.services.erasure.new_request import MAX_UNDER_WAY
from app.services.erasure.requests import Acceptance, ForgetCommand
from tests.world import StandIn, World, catalogue

_ANY = RequestId("0" * 32)


def forget(world: World, name: str, scope: Scope) -> Acceptance:
    return world.container.forget.accept(ForgetCommand(world.user(name), scope))


def n_tombstones(world: World, accepted: Acceptance) -> int:
    with world.adapters.uows.read() as uow:
        return len(uow.tombstones.of([accepted.request.request_id]))


def test_no_trace_is_kept_of_what_was_never_held(shared_world: World) -> None:
    world = shared_world
    world.read("asks", ["sea-00"])
    unknown = tuple(ItemId(f"unknown-{number}") for number in range(1_000))
    never = world.adapters.identity.event_key(world.user("asks"), "never")

    items = forget(world, "asks", ItemsScope((ItemId("sea-00"), *unknown)))
    events = forget(world, "asks", EventsScope((never,)))

    assert (n_tombstones(world, items), n_tombstones(world, events)) == (1, 0)
    assert (items.request.n_records, events.request.n_records) == (1, 0)
    assert world.read("asks", ["sea-00", "sea-01"]) == (1, 0, 1)


def test_a_user_has_so_many_topics_and_requests_under_way_and_may_always_forget_all(
    shared_world: World,
) -> None:
    world, user = shared_world, shared_world.user("much")
    for number in range(MAX_TOPICS):
        if number < MAX_UNDER_WAY:
            forget(world, "much", TopicScope(f"topic {number}"))
            continue
        with world.adapters.uows.write() as uow:
            topic = Topic(world.adapters.identity.topic_id(user, f"{number}"), f"{number}")
            uow.suppressions.add(user, topic, request_id=_ANY, at=world.clock.now())

    with pytest.raises(TooManyError, match="under way"):
        forget(world, "much", ItemsScope((ItemId("sea-00"),)))
    with world.adapters.uows.read() as uow:
        waiting = [one.request_id for one in uow.requests.unfinished_of(user)]
    assert world.erase(waiting[0])
    with pytest.raises(TooManyError, match="topics"):
        forget(world, "much", TopicScope("one more"))
    assert forget(world, "much", TopicScope("Topic  3")).request.n_records == 0
    assert forget(world, "much", AllScope()).request.n_records == MAX_TOPICS


def test_topics_are_worked_out_once_for_a_catalogue_however_many_there_are(
    own_world: World,
) -> None:
    adapters = own_world.adapters
    embedder = StandIn(adapters.embedder)
    asked: list[int] = []

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.append(len(texts))
        return adapters.embedder.embed(texts)

    embedder.answers["embed"] = embed
    current = CurrentCatalogue(uows=adapters.uows, index=adapters.catalogue_index)
    matcher = TopicMatcher(
        embedder=cast("Embedder", embedder), memory=adapters.memory, catalogue=current
    )
    topics = [Topic(f"{number}", f"planet {number}") for number in range(MAX_TOPICS)]

    first = matcher.items_about(topics, catalogue())
    again = matcher.items_about(topics, catalogue())

    assert first == again
    assert {f"stars-{number:02d}" for number in range(20)} <= first
    assert sum(asked) == MAX_TOPICS


def test_a_tombstone_that_somebody_deletes_is_missed(own_world: World) -> None:
    world = own_world
    world.read("protected", ["sea-00"])
    forget(world, "protected", AllScope())
    assert world.container.reconcile.check().is_consistent

    engine = open_engine(world.adapters.settings.database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM tombstone"))
    engine.dispose()

    found = world.container.reconcile.check()
    assert found.n_contradicted == 1
    assert "its tombstones" in found.problems[0]
