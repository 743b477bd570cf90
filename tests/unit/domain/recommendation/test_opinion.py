"""What a user thinks of an item, told from what the user did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.models import ItemId, Kind
from app.domain.recommendation.opinion import Evidence, OpinionRule, Stance

RULE = OpinionRule()
START = datetime(2026, 1, 1, tzinfo=UTC)

events = st.builds(
    Evidence,
    st.sampled_from([ItemId(name) for name in "abcdef"]),
    st.sampled_from(list(Kind)),
    st.sampled_from([None, 0.1, 0.3, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0]),
    st.integers(0, 4).map(lambda hours: START + timedelta(hours=hours)),
)
histories = st.lists(events, max_size=12)


def did(item: str, kind: Kind, value: float | None = None, *, hour: int = 0) -> Evidence:
    return Evidence(ItemId(item), kind, value, START + timedelta(hours=hour))


def rated(*values: float) -> list[Evidence]:
    return [did(f"i{at}", Kind.RATING, value, hour=at) for at, value in enumerate(values)]


def stances(told: list[Evidence], rule: OpinionRule = RULE) -> list[Stance]:
    """Return the stances by item id."""
    found = rule.opinions(told)
    return [found[item] for item in sorted(found)]


@given(histories, st.randoms(use_true_random=False))
def test_opinions_are_the_same_whatever_the_order_of_arrival(
    told: list[Evidence],
    random: Random,
) -> None:
    shuffled = list(told)
    random.shuffle(shuffled)

    assert list(RULE.opinions(shuffled).items()) == list(RULE.opinions(told).items())


@given(histories)
def test_an_event_told_twice_counts_once(told: list[Evidence]) -> None:
    assert list(RULE.opinions(told * 2).items()) == list(RULE.opinions(told).items())


@given(histories)
def test_liked_items_are_distinct_and_newest_first(told: list[Evidence]) -> None:
    liked = RULE.liked(told)
    heard = [one for one in told if one.kind is not Kind.NOTE]
    last = {item: max(o.occurred_at for o in heard if o.item_id == item) for item in liked}

    assert len(set(liked)) == len(liked)
    assert liked == sorted(liked, key=lambda item: (-last[item].timestamp(), item))


@pytest.mark.parametrize(
    ("kind", "stance"),
    [
        (Kind.LIKE, Stance.FOR),
        (Kind.PURCHASE, Stance.FOR),
        (Kind.VIEW, Stance.FOR),
        (Kind.RATING, Stance.FOR),
        (Kind.DISLIKE, Stance.AGAINST),
    ],
)
def test_kinds_speak_as_the_settings_say(kind: Kind, stance: Stance) -> None:
    assert stances([did("a", kind)]) == [stance]
    assert not OpinionRule(positive=frozenset(), negative=frozenset()).opinions([did("a", kind)])


def test_a_note_is_no_opinion_of_an_item() -> None:
    assert not RULE.opinions([did("a", Kind.NOTE)])


def test_eight_low_ratings_speak_against_and_eight_high_ones_for() -> None:
    assert stances(rated(*[1.0] * 8)) == [Stance.AGAINST] * 8
    assert stances(rated(*[5.0] * 8)) == [Stance.FOR] * 8


def test_a_rating_a_deviation_below_the_users_own_mean_is_no_evidence() -> None:
    # Mean 4, deviation 0.63: 3 is below the usual of this user, 4 is not.
    assert stances(rated(5, 4, 4, 4, 3)) == [Stance.FOR] * 4 + [Stance.NEITHER]


def test_a_two_of_a_harsh_user_is_not_against() -> None:
    # Mean 1.4: a 2 is praise from this user, though too little to count.
    assert stances(rated(1, 1, 1, 2, 2)) == [Stance.AGAINST] * 3 + [Stance.NEITHER] * 2


def test_a_user_on_another_scale_is_judged_by_the_own_mean_alone() -> None:
    found = stances(rated(0.1, 0.9, 0.9, 1.0))

    assert found == [Stance.NEITHER, Stance.FOR, Stance.FOR, Stance.FOR]
    ten = OpinionRule(scale=(1.0, 10.0))
    assert stances(rated(3, 8, 9), ten) == [Stance.AGAINST, Stance.FOR, Stance.FOR]


def test_absolute_thresholds_take_the_place_of_the_users_mean() -> None:
    rule = OpinionRule(thresholds=(2.0, 4.0))

    assert stances(rated(1, 2, 3, 4, 5), rule) == [-1, -1, 0, 1, 1]


def test_the_latest_opinion_of_an_item_counts() -> None:
    changed = [did("a", Kind.RATING, 5.0), did("a", Kind.RATING, 1.0, hour=1)]
    back = [did("a", Kind.DISLIKE), did("a", Kind.LIKE, hour=1)]

    assert stances(changed) == [Stance.AGAINST]
    assert stances(changed[::-1]) == [Stance.AGAINST]
    assert stances(back) == [Stance.FOR]


def test_a_superseded_rating_does_not_move_the_users_mean() -> None:
    told = [*rated(4, 4, 3), did("i0", Kind.RATING, 1.0, hour=-1)]

    assert stances(told) == stances(rated(4, 4, 3))


def test_looking_again_takes_no_dislike_back_but_buying_does() -> None:
    disliked = did("a", Kind.DISLIKE)

    assert stances([disliked, did("a", Kind.VIEW, hour=1)]) == [Stance.AGAINST]
    assert stances([disliked, did("a", Kind.PURCHASE, hour=1)]) == [Stance.FOR]


def test_of_two_opinions_at_one_moment_the_lower_counts() -> None:
    assert stances([did("a", Kind.LIKE), did("a", Kind.DISLIKE)]) == [Stance.AGAINST]
    assert stances([did("a", Kind.RATING, 5.0), did("a", Kind.RATING, 1.0)]) == [Stance.AGAINST]


def test_an_item_touched_again_comes_first() -> None:
    told = [did("a", Kind.LIKE), did("b", Kind.LIKE, hour=1), did("a", Kind.VIEW, hour=2)]

    assert RULE.liked(told) == ["a", "b"]
