"""Windows over many candidates, and the one scale that their anchors make of them."""

from math import exp, fsum, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.models import Item, ItemId
from app.domain.recommendation.windows import linked, normalised, windows


def items(count: int) -> list[Item]:
    return [Item(ItemId(f"i{n}"), "T") for n in range(count)]


@given(count=st.integers(1, 300), size=st.integers(2, 52))
def test_windows_hold_every_candidate_and_no_more_than_their_size(count: int, size: int) -> None:
    found, anchors = windows(items(count), size=size)

    assert max(map(len, found)) <= size
    ids = [item.item_id for window in found for item in window]
    assert set(ids) == {item.item_id for item in items(count)}
    for window in found:
        assert anchors <= {item.item_id for item in window}
        assert len({item.item_id for item in window}) == len(window)
    assert len(ids) == count + (len(found) - 1) * len(anchors)


def test_one_window_is_the_list_itself() -> None:
    assert windows(items(52), size=52) == ([items(52)], frozenset())


def test_windows_have_good_and_bad_candidates_alike() -> None:
    found, anchors = windows(items(200), size=50)

    for window in found:
        own = [int(item.item_id[1:]) for item in window if item.item_id not in anchors]
        assert 85 < sum(own) / len(own) < 115


@given(weights=st.lists(st.floats(-8, 8), min_size=12, max_size=60), size=st.integers(4, 11))
def test_a_model_true_to_luce_is_ranked_as_if_all_were_seen_at_once(
    weights: list[float], size: int
) -> None:
    candidates = items(len(weights))
    weight = {item.item_id: value for item, value in zip(candidates, weights, strict=True)}
    shown, anchors = windows(candidates, size=size)
    views = [normalised({item.item_id: weight[item.item_id] for item in one}) for one in shown]

    found = linked(views, anchors=anchors)

    assert found == pytest.approx(normalised(weight), abs=1e-9)
    assert fsum(map(exp, found.values())) == pytest.approx(1)


def test_normalising_keeps_the_differences() -> None:
    found = normalised({"a": -1000.0, "b": -1000.0 + log(3)})

    assert found == pytest.approx({"a": log(0.25), "b": log(0.75)})
