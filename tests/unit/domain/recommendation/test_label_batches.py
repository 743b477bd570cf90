"""Label batches of many candidates, and the one scale that their anchors make of them."""

from math import exp, fsum, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.models import Item, ItemId
from app.domain.recommendation.label_batches import label_batches, linked, normalised


def items(count: int) -> list[Item]:
    return [Item(ItemId(f"i{n}"), "T") for n in range(count)]


@given(count=st.integers(1, 300), size=st.integers(2, 52))
def test_batches_hold_every_candidate_and_no_more_than_their_size(count: int, size: int) -> None:
    found, anchors = label_batches(items(count), size=size)

    assert max(map(len, found)) <= size
    ids = [item.item_id for batch in found for item in batch]
    assert set(ids) == {item.item_id for item in items(count)}
    for batch in found:
        assert anchors <= {item.item_id for item in batch}
        assert len({item.item_id for item in batch}) == len(batch)
    assert len(ids) == count + (len(found) - 1) * len(anchors)


def test_one_batch_is_the_list_itself() -> None:
    assert label_batches(items(52), size=52) == ([items(52)], frozenset())


def test_batches_have_good_and_bad_candidates_alike() -> None:
    found, anchors = label_batches(items(200), size=50)

    for batch in found:
        own = [int(item.item_id[1:]) for item in batch if item.item_id not in anchors]
        assert 85 < sum(own) / len(own) < 115


@given(weights=st.lists(st.floats(-8, 8), min_size=12, max_size=60), size=st.integers(4, 11))
def test_a_model_true_to_luce_is_ranked_as_if_all_were_seen_at_once(
    weights: list[float], size: int
) -> None:
    candidates = items(len(weights))
    weight = {item.item_id: value for item, value in zip(candidates, weights, strict=True)}
    shown, anchors = label_batches(candidates, size=size)
    views = [normalised({item.item_id: weight[item.item_id] for item in one}) for one in shown]

    found = linked(views, anchors=anchors)

    assert found == pytest.approx(normalised(weight), abs=1e-9)
    assert fsum(map(exp, found.values())) == pytest.approx(1)


def test_normalising_keeps_the_differences() -> None:
    found = normalised({"a": -1000.0, "b": -1000.0 + log(3)})

    assert found == pytest.approx({"a": log(0.25), "b": log(0.75)})
