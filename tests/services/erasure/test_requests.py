from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.adapters.datasets.registry import open_dataset
from app.adapters.db.audit_tables import metadata
from app.adapters.db.engine import open_engine
from app.domain.erasure.request import Ground, RequestState
from app.domain.erasure.scope import (
    AllScope,
    EventsScope,
    ItemsScope,
    PeriodScope,
    Scope,
    TopicScope,
)
from app.domain.errors import IdempotencyConflictError, IllegalMoveError
from app.domain.models import Consent, Item, ItemId, RequestId
from app.domain.recommendation.topic import MatchedBy
from app.ports.dataset import ItemRecord
from app.services.erasure.requests import Acceptance, ForgetCommand
from app.services.recommendation.answer import Recommendation
from app.services.recommendation.query import RecommendQuery
from tests.world import START, World, open_world

SEA = [f"sea-{number:02d}" for number in range(6)]
LATER = START + timedelta(days=100)


def ask(world: World, name: str) -> Recommendation:
    return world.container.recommend.recommend(RecommendQuery(world.user(name), n=20))


def shown(answer: Recommendation) -> tuple[object, ...]:
    """Everything of an answer but how long it took."""
    items = [
        (one.item.item_id, one.score, [r.item_id for r in one.because]) for one in answer.items
    ]
    return (items, answer.provenance, answer.is_personalised, answer.epoch)


def forget(
    world: World,
    name: str,
    scope: Scope | None = None,
    *,
    idempotency_key: str | None = None,
    subject_request_id: str | None = None,
) -> Acceptance:
    command = ForgetCommand(
        pseudonym=world.user(name),
        scope=scope or AllScope(),
        idempotency_key=idempotency_key,
        subject_request_id=subject_request_id,
    )
    return world.container.forget.accept(command)


def remembered(world: World, name: str) -> set[str]:
    with world.adapters.uows.read() as uow:
        return {one.item_id or "note" for one in uow.interactions.history(world.user(name))}


def state_of(world: World, request_id: RequestId) -> RequestState:
    return world.container.forget.status(request_id).request.state


def test_from_the_acceptance_on_the_user_is_a_stranger(shared_world: World) -> None:
    shared_world.read("instant", SEA)
    assert ask(shared_world, "instant").is_personalised

    forget(shared_world, "instant")

    assert shown(ask(shared_world, "instant")) == shown(ask(shared_world, "nobody"))


def test_a_completed_erasure_leaves_the_user_in_no_table_and_no_collection(
    own_world: World,
) -> None:
    own_world.read("gone", SEA)
    own_world.note("gone", "I sailed past Terschelling")
    accepted = forget(own_world, "gone", idempotency_key="gone-1", subject_request_id="x")

    assert own_world.erase(accepted.request.request_id)

    assert state_of(own_world, accepted.request.request_id) is RequestState.COMPLETED
    engine = open_engine(own_world.adapters.settings.database_url)
    pseudonym = own_world.user("gone")
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                assert pseudonym not in str(tuple(row)), table.name
                assert "Terschelling" not in str(tuple(row)), table.name
    engine.dispose()


def test_others_get_what_a_rebuild_without_the_user_gives(own_world: World, tmp_path: Path) -> None:
    own_world.read("gone", [*SEA, "crime-07", "stars-03"])
    accepted = forget(own_world, "gone")
    assert own_world.erase(accepted.request.request_id)
    own_world.settle()

    pepper = own_world.adapters.settings.data_dir / "pepper"
    (tmp_path / "pepper").write_text(pepper.read_text())
    with open_world(tmp_path) as rebuilt:
        rebuilt.populate()
        assert (
            own_world.adapters.neighbours.state_hash() == rebuilt.adapters.neighbours.state_hash()
        )
        for number in range(30):
            name = f"reader-{number}"
            assert shown(ask(own_world, name)) == shown(ask(rebuilt, name))


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        (
            ItemsScope((ItemId("sea-00"), ItemId("sea-05"))),
            {"sea-01", "sea-02", "sea-03", "sea-04"},
        ),
        (
            PeriodScope(START + timedelta(days=2), START + timedelta(days=5)),
            {"sea-00", "sea-01", "sea-05"},
        ),
    ],
)
def test_a_partial_scope_takes_what_it_names_and_no_more(
    shared_world: World, scope: Scope, left: set[str]
) -> None:
    name = f"partial-{scope.kind}"
    shared_world.read(name, SEA)

    accepted = forget(shared_world, name, scope)

    assert remembered(shared_world, name) == left
    assert shared_world.erase(accepted.request.request_id)
    assert remembered(shared_world, name) == left
    assert ask(shared_world, name).is_personalised


def test_events_are_forgotten_by_the_ids_they_were_sent_with(shared_world: World) -> None:
    shared_world.read("eventful", SEA)
    user, identity = shared_world.user("eventful"), shared_world.adapters.identity
    key = identity.event_key(user, f"eventful-sea-03-{START}")

    forget(shared_world, "eventful", EventsScope((key,)))

    assert remembered(shared_world, "eventful") == set(SEA) - {"sea-03"}
    assert shared_world.read("eventful", SEA) == (0, 5, 1)


def test_erased_data_do_not_come_back_by_a_replay(shared_world: World) -> None:
    shared_world.read("replayed", SEA)
    accepted = forget(shared_world, "replayed")
    assert shared_world.read("replayed", SEA) == (0, 0, 6)

    assert shared_world.erase(accepted.request.request_id)

    assert shared_world.read("replayed", SEA) == (0, 0, 6)
    consent = Consent(shared_world.adapters.clock.now(), "account")
    assert shared_world.read("replayed", SEA, consent=consent) == (0, 0, 6)


def test_someone_who_comes_back_starts_anew_above_the_old_epoch(shared_world: World) -> None:
    shared_world.read("returning", SEA)
    epoch = ask(shared_world, "returning").epoch
    accepted = forget(shared_world, "returning")
    assert shared_world.erase(accepted.request.request_id)
    now = shared_world.adapters.clock.now()

    assert shared_world.read("returning", ["stars-01"], at=now) == (0, 0, 1)
    back = shared_world.read("returning", ["stars-01"], at=now, consent=Consent(now, "account"))
    assert back == (1, 0, 0)
    assert remembered(shared_world, "returning") == {"stars-01"}
    assert ask(shared_world, "returning").epoch > epoch + 1


def test_forgotten_items_may_be_read_again(shared_world: World) -> None:
    shared_world.read("again", SEA)
    forget(shared_world, "again", ItemsScope((ItemId("sea-00"),)))

    assert shared_world.read("again", ["sea-00"]) == (0, 0, 1)
    assert shared_world.read("again", ["sea-00"], at=shared_world.adapters.clock.now()) == (1, 0, 0)


def test_a_repeat_joins_the_request_it_repeats(shared_world: World) -> None:
    shared_world.read("repeating", SEA)

    first = forget(shared_world, "repeating", idempotency_key="k")
    second = forget(shared_world, "repeating", idempotency_key="k")
    third = forget(shared_world, "repeating")

    assert first.is_new
    assert not second.is_new
    assert first.request.request_id == second.request.request_id == third.request.request_id
    assert first.capability == second.capability


def test_a_key_used_with_another_body_is_a_conflict(shared_world: World) -> None:
    forget(shared_world, "careless", idempotency_key="k2")

    with pytest.raises(IdempotencyConflictError):
        forget(shared_world, "careless", ItemsScope((ItemId("sea-00"),)), idempotency_key="k2")


def test_someone_unknown_can_be_forgotten_too(shared_world: World) -> None:
    accepted = forget(shared_world, "never-seen")

    assert shared_world.erase(accepted.request.request_id)
    assert shared_world.read("never-seen", SEA) == (0, 0, 6)


def test_a_topic_is_neither_remembered_nor_recommended(shared_world: World) -> None:
    shared_world.read("topical", [*SEA[:3], "crime-01", "crime-02", "crime-03"])

    accepted = forget(shared_world, "topical", TopicScope("detective"))

    assert remembered(shared_world, "topical") == set(SEA[:3])
    assert shared_world.erase(accepted.request.request_id)
    answer = ask(shared_world, "topical")
    assert not [one for one in answer.items if one.item.item_id.startswith("crime")]
    now = shared_world.adapters.clock.now()
    assert shared_world.read("topical", ["crime-09", "sea-09"], at=now) == (1, 0, 1)


def test_a_topic_is_not_recommended_to_someone_without_other_memories(
    shared_world: World,
) -> None:
    shared_world.read("single-minded", ["crime-01", "crime-02"])
    forget(shared_world, "single-minded", TopicScope("detective"))

    answer = ask(shared_world, "single-minded")

    assert answer.items
    assert not [one for one in answer.items if one.item.item_id.startswith("crime")]


def test_a_lifted_topic_comes_back(shared_world: World) -> None:
    shared_world.read("forgiving", [*SEA[:3], "crime-01"])
    forget(shared_world, "forgiving", TopicScope("detective"))
    user, rights = shared_world.user("forgiving"), shared_world.container.rights

    (topic,) = rights.suppressed_topics(user)
    rights.lift_suppression(user, topic_id=topic.topic_id)

    assert rights.suppressed_topics(user) == []
    now = shared_world.adapters.clock.now()
    assert shared_world.read("forgiving", ["crime-09"], at=now) == (1, 0, 0)


def test_a_preview_shows_what_would_go_and_changes_nothing(shared_world: World) -> None:
    shared_world.read("curious", [*SEA[:3], "crime-01"])
    before = shown(ask(shared_world, "curious"))
    user = shared_world.user("curious")

    entries = shared_world.container.resolver.preview(user, TopicScope("detective"))

    assert [one.entry.item_id for one in entries] == ["crime-01"]
    assert entries[0].match is not None
    assert shown(ask(shared_world, "curious")) == before


def _film(item_id: str, title: str, *genres: str) -> Item:
    return Item(ItemId(item_id), title, attributes={"genres": list(genres)})


def test_a_series_is_told_from_what_shares_a_word_with_its_name(shared_world: World) -> None:
    """ "War" is half of the topic and the genre of films that have nothing to do with it."""
    space = ("Action", "Adventure", "Romance", "Sci-Fi", "War")
    series = {"space-1", "space-2", "space-3"}
    films = [
        _film("space-1", "Star Wars (1977)", *space),
        _film("space-2", "Empire Strikes Back, The (1980)", *space, "Drama"),
        _film("space-3", "Return of the Jedi (1983)", *space),
        _film("war-1", "Platoon (1986)", "Drama", "War"),
        _film("war-2", "Glory (1989)", "Action", "Drama", "War"),
        _film("war-3", "Ran (1985)", "Drama", "War"),
    ]
    shared_world.container.catalogue.upsert(films)
    shared_world.read("cinephile", [one.item_id for one in films])

    entries = shared_world.container.resolver.preview(
        shared_world.user("cinephile"), TopicScope("Star Wars")
    )

    assert {one.entry.item_id for one in entries} == series
    assert [one.match.by for one in entries if one.match].count(MatchedBy.WORDS) == 1


def test_a_sequel_of_another_name_is_near_enough_by_itself(shared_world: World) -> None:
    """It does not say the words, and is less like the first book than the threshold asks."""
    demo = open_dataset("demo", None, now=START).items()
    wanted = {"The Three Musketeers (1844)", "Twenty Years After (1845)"}
    books = [one.item for one in demo if isinstance(one, ItemRecord) and one.item.title in wanted]
    shared_world.container.catalogue.upsert(books)
    shared_world.read("swordsman", [*(one.item_id for one in books), "sea-01"])
    user, topic = shared_world.user("swordsman"), TopicScope("The Three Musketeers")

    entries = shared_world.container.resolver.preview(user, topic)

    assert {one.item.title for one in entries if one.item} == wanted


def test_a_rejected_request_gives_the_data_back(shared_world: World) -> None:
    shared_world.read("litigant", SEA)
    shared_world.settle()
    before = ask(shared_world, "litigant")
    request_id = forget(shared_world, "litigant").request.request_id
    operations = shared_world.container.operations

    operations.hold(request_id)
    assert not shared_world.erase(request_id)
    assert not ask(shared_world, "litigant").is_personalised
    operations.reject(request_id, ground=Ground.LEGAL_CLAIMS)

    shared_world.settle()
    after = ask(shared_world, "litigant")
    assert state_of(shared_world, request_id) is RequestState.REJECTED
    assert [one.item for one in after.items] == [one.item for one in before.items]
    assert shared_world.read("litigant", ["sea-09"]) == (1, 0, 0)


def test_a_completed_request_cannot_be_rejected(shared_world: World) -> None:
    shared_world.read("done", SEA)
    request_id = forget(shared_world, "done").request.request_id
    assert shared_world.erase(request_id)

    with pytest.raises(IllegalMoveError):
        shared_world.container.operations.reject(request_id, ground=Ground.EXPRESSION)


def test_every_step_is_journalled_and_every_move_is_in_the_log(shared_world: World) -> None:
    shared_world.read("audited", SEA, text="read at night")
    request_id = forget(shared_world, "audited").request.request_id
    assert shared_world.erase(request_id)

    steps = shared_world.container.forget.status(request_id).steps
    with shared_world.adapters.uows.read() as uow:
        leaves = uow.audit.page(after=-1, limit=100, kind=None, request_id=request_id)

    kinds = [leaf.body.decode().split('"kind":"')[1].split('"')[0] for leaf in leaves]
    assert {one.step.value: one.touched for one in steps}["memory"] == 6
    assert kinds == [
        "forget.received",
        "forget.suppressed",
        "forget.erasing",
        "forget.scrubbed",
        "forget.verifying",
        "forget.completed",
    ]
