"""Opinions of many in columns are those of each user alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.models import ItemId, Kind, Pseudonym
from app.domain.recommendation import everybody as in_parts
from app.domain.recommendation import opinions_of_many
from app.domain.recommendation.everybody import Everybody, Histories, Rows
from app.domain.recommendation.numbers import packed_one_by_one
from app.domain.recommendation.opinion import Evidence, OpinionRule
from app.domain.recommendation.opinions_of_many import KINDS
from tests.names import called

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RULES = (
    OpinionRule(),
    OpinionRule(scale=(0.5, 10.0)),
    OpinionRule(thresholds=(2.0, 4.0)),
    OpinionRule(
        positive=frozenset({Kind.RATING, Kind.NOTE}), negative=frozenset({Kind.VIEW, Kind.DISLIKE})
    ),
    OpinionRule(positive=frozenset({Kind.LIKE}), negative=frozenset({Kind.RATING})),
)
Told = tuple[str, Evidence]
# Few of each, so that opinions of one item, ratings that are equal and moments that are meet.
_VALUES = st.one_of(
    st.none(),
    st.sampled_from([1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 0.1, 0.3, 1 / 3, -7.25, 11.0]),
    st.floats(-1e6, 1e6),
)
_EVIDENCE = st.builds(
    Evidence,
    st.sampled_from([ItemId(one) for one in ("a", "b", "c", "a,b", "\u00e9", "\U0001f600", "zz")]),
    st.sampled_from(KINDS),
    _VALUES,
    st.integers(-3, 5).map(lambda at: _EPOCH + timedelta(microseconds=at)),
)
_TOLD = st.lists(st.tuples(st.sampled_from(["u", "v", "w", "x"]), _EVIDENCE), max_size=60)


def rows_of(told: Sequence[Told]) -> Rows:
    """Return rows as a store tells them."""
    ids = b"".join(bytes.fromhex(called(who)) for who, _ in told)
    said = [one for _, one in told]
    return Rows(
        np.frombuffer(ids, dtype=np.uint8).reshape(-1, 32),
        packed_one_by_one([one.item_id for one in said]),
        np.array([KINDS.index(one.kind) for one in said], dtype=np.uint8),
        np.array([math.nan if one.value is None else one.value for one in said], dtype=np.float64),
        np.array(
            [(one.occurred_at - _EPOCH) // timedelta(microseconds=1) for one in said],
            dtype=np.int64,
        ),
    )


def one_by_one(told: Iterable[Told], rule: OpinionRule) -> dict[Pseudonym, list[ItemId]]:
    """Return what each user likes, as the rule says it of one."""
    of_each: dict[str, list[Evidence]] = {}
    for who, said in told:
        of_each.setdefault(who, []).append(said)
    liked = {called(who): rule.liked(said) for who, said in of_each.items()}
    return {who: items for who, items in liked.items() if items}


@settings(max_examples=400, deadline=None)
@given(_TOLD, st.sampled_from(_RULES), st.integers(1, 20))
def test_many_like_what_each_of_them_likes(
    told: list[Told], rule: OpinionRule, at_once: int
) -> None:
    parts = [told[begin : begin + at_once] for begin in range(0, len(told), at_once)]

    histories = Everybody.of(map(rows_of, parts)).histories(rule)

    assert dict(histories) == one_by_one(told, rule)
    assert sorted(histories.items) == sorted({one for _, items in histories for one in items})


@pytest.mark.parametrize("times", [1, 3, 7, 11, 40])
def test_ratings_at_the_very_bound_are_judged_as_the_rule_judges_them(times: int) -> None:
    """Of two ratings given as often the lower lies just at the bound; the last bits decide."""
    rng = np.random.default_rng(times)
    told = [
        (f"u{user}", Evidence(ItemId(f"{at}-{time}"), Kind.RATING, value, _EPOCH))
        for user in range(200)
        for at, value in enumerate(rng.uniform(2.1, 5, size=2).tolist())
        for time in range(times)
    ]

    histories = Everybody.of([rows_of(told)]).histories(OpinionRule())

    assert dict(histories) == one_by_one(told, OpinionRule())


def test_parts_and_numbers_too_wide_to_be_packed_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = [
        (
            f"u{n % 23}",
            Evidence(
                ItemId(str(n * 7 % 31)),
                KINDS[n % len(KINDS)],
                float(n % 5),
                _EPOCH + timedelta(seconds=n * 11 % 17),
            ),
        )
        for n in range(2_000)
    ]
    expected = one_by_one(told, OpinionRule())
    assert dict(Everybody.of([rows_of(told)]).histories(OpinionRule())) == expected

    monkeypatch.setattr(in_parts, "_AT_ONCE", 100)
    monkeypatch.setattr(opinions_of_many, "_MOST_BITS", 3)

    assert dict(Everybody.of([rows_of(told)]).histories(OpinionRule())) == expected


def test_nobody_likes_nothing() -> None:
    assert dict(Everybody().histories(OpinionRule())) == {}
    assert dict(Everybody.of([rows_of([])]).histories(OpinionRule())) == {}


def test_histories_can_be_had_without_somebody() -> None:
    [a, b, c] = [ItemId(one) for one in "abc"]
    told = {called("u"): [a, b], called("v"): [c, b], called("w"): [b]}
    histories = Histories.of(told.items())

    others = histories.without(called("v"))

    assert dict(others) == {called("u"): [a, b], called("w"): [b]}
    assert list(others.items) == [b, a]
    assert histories.without(called("nobody")) is histories
    assert dict(histories) == told
