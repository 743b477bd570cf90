"""One version of the catalogue: however it came about, it answers like one read anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.domain.models import AttributeValue, Item, ItemId, Scored
from app.domain.privacy.rotation import quantise
from app.domain.recommendation.filter import CatalogueEntry, matches
from app.domain.recommendation.filter_parser import parse_where
from app.services.catalogue.eligible import Eligible
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.vectors import ItemVectors, exact_cosines, on_item_grid
from tests.where_cases import NOW, catalogues, documents

SHAPE = 4


class Index:
    """A catalogue index that makes vectors up from ids, and notes how often it is asked.

    A snapshot only reads: a write through it would be a fault, so writes must fail here.
    """

    def __init__(self, lacking: Sequence[str] = ()) -> None:
        self.lacking = set(lacking)
        self.asked: list[list[ItemId]] = []

    def upsert(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> None:
        raise AssertionError("a snapshot writes nothing")

    def remove(self, item_ids: Sequence[ItemId]) -> None:
        raise AssertionError("a snapshot writes nothing")

    def search(self, query: NDArray[np.float32], *, top_n: int) -> list[Scored]:
        self.asked.append([])
        found = [Scored(one, float(vector_of(one) @ query)) for one in map(ItemId, "abcdef")]
        return sorted(found, key=lambda one: (-one.score, one.item_id))[:top_n]

    def vectors(self, item_ids: Sequence[ItemId]) -> dict[ItemId, NDArray[np.float32]]:
        self.asked.append(sorted(item_ids))
        return {one: vector_of(one) for one in item_ids if one not in self.lacking}


def vector_of(item_id: ItemId) -> NDArray[np.float32]:
    made = np.random.default_rng(list(item_id.encode())).normal(size=SHAPE).astype(np.float32)
    return made / np.linalg.norm(made)


def entries_of(ids: str, **attributes: int) -> list[CatalogueEntry]:
    return [CatalogueEntry(Item(ItemId(one), one, attributes=attributes), NOW) for one in ids]


def snapshot_of(entries: Sequence[CatalogueEntry], index: Index | None = None) -> CatalogueSnapshot:
    empty = CatalogueSnapshot(0, ItemVectors(index or Index()))
    return empty.after(entries, removed=(), version=1).in_order()


def passing(snapshot: CatalogueSnapshot, document: object) -> set[ItemId]:
    where = parse_where(document, now=NOW, attributes=None)
    return set(snapshot.eligible().within(where))


@st.composite
def histories(draw: st.DrawFn) -> Iterator[tuple[list[CatalogueEntry], list[ItemId], bool]]:
    """Steps of a catalogue: what is put, what is removed, and whether it is put in order."""
    there: set[ItemId] = set()
    steps = []
    for _ in range(draw(st.integers(1, 4))):
        put = draw(catalogues())
        there |= {one.item.item_id for one in put}
        kept = there - {one.item.item_id for one in put}
        removed = draw(st.lists(st.sampled_from(sorted(kept)), unique=True)) if kept else []
        there -= set(removed)
        steps.append((put, removed, draw(st.booleans())))
    return steps  # type: ignore[return-value] # a composite strategy of lists


@settings(max_examples=60)
@given(steps=histories(), document=documents)
def test_a_snapshot_answers_like_one_read_anew_when_it_came_about_by_changes(
    steps: list[tuple[list[CatalogueEntry], list[ItemId], bool]], document: dict[str, object]
) -> None:
    snapshot, there = snapshot_of([]), dict[ItemId, CatalogueEntry]()
    _ = snapshot.lexicon  # from here on it is kept up, not made anew
    for version, (put, removed, is_ordered) in enumerate(steps, start=2):
        there |= {one.item.item_id: one for one in put}
        there = {one: entry for one, entry in there.items() if one not in removed}
        snapshot = snapshot.after(put, removed=removed, version=version)
        snapshot = snapshot.in_order() if is_ordered else snapshot
    anew = snapshot_of(list(there.values()))
    where = parse_where(document, now=NOW, attributes=None)

    assert snapshot.entries == anew.entries == there
    assert snapshot.names == anew.names
    expected = {one for one, entry in there.items() if entry.available and matches(where, entry)}
    assert passing(snapshot, document) == passing(anew, document) == expected
    query = vector_of(ItemId("query"))
    for top_n in (1, 3, 9):
        among = snapshot.eligible().within(where)
        found = snapshot.nearest(query, top_n=top_n, among=among)
        best = sorted(among, key=lambda one: (-float(vector_of(one) @ query), one))[:top_n]
        assert [one.item_id for one in found] == best
    assert np.array_equal(snapshot.centres, anew.centres)
    assert snapshot.lexicon.postings.keys() == anew.lexicon.postings.keys()
    text = " ".join(anew.lexicon.postings)
    assert snapshot.wordy(text, top_n=9) == anew.wordy(text, top_n=9)


def test_each_vector_is_asked_for_once_until_its_item_changes() -> None:
    index = Index()
    snapshot = snapshot_of(entries_of("abc"), index)

    snapshot.vectors.of([ItemId("a"), ItemId("b")])
    later = snapshot.after(entries_of("b", price=1), removed=[ItemId("c")], version=2)
    found = later.vectors.of([ItemId("a"), ItemId("b")])

    assert index.asked == [["a", "b"], ["b"]]
    assert found[ItemId("b")].tolist() == on_item_grid(vector_of(ItemId("b"))).tolist()


def test_what_the_index_lacked_is_asked_for_again_when_the_catalogue_is_put_in_order() -> None:
    index = Index(lacking="b")
    snapshot = snapshot_of(entries_of("ab"), index)
    assert snapshot.vectors.of([ItemId("a"), ItemId("b")]).keys() == {"a"}
    assert snapshot.vectors.has_gaps

    index.lacking.clear()

    assert snapshot.vectors.of([ItemId("b")]) == {}, "not asked for with every answer"
    assert snapshot.in_order().vectors.of([ItemId("b")]).keys() == {"b"}


def test_nothing_of_a_removed_item_is_left_when_the_catalogue_is_put_in_order() -> None:
    secret = "Maria Musterfrau"
    seller = CatalogueEntry(Item(ItemId("b"), secret, attributes={"seller": secret}), NOW)
    snapshot = snapshot_of([*entries_of("a"), seller])
    assert passing(snapshot, {"seller": secret}) == {"b"}

    removed = snapshot.after([], removed=[ItemId("b")], version=2)
    ordered = removed.in_order()

    assert passing(removed, {"seller": secret}) == set()
    assert list(removed.names) == []
    assert secret not in repr([vars(ordered), ordered.base.entries, ordered.base.columns])


@pytest.mark.parametrize("others", ["a", "ac", "c", ""])
@pytest.mark.parametrize("is_corrected", [False, True])
def test_no_word_of_an_item_is_left_as_soon_as_it_is_removed_or_corrected(
    others: str, *, is_corrected: bool
) -> None:
    secret = "Maria Musterfrau"
    words: dict[str, AttributeValue] = {"seller": secret, "sold": ["here", f"by {secret}", 3]}
    seller = CatalogueEntry(Item(ItemId("b"), secret, secret, attributes=words), NOW)
    new = CatalogueEntry(Item(ItemId("b"), "b"), NOW)
    shared: dict[str, AttributeValue] = {"seller": "Zoe", "sold": ["here", "there"]}
    kept = [CatalogueEntry(Item(ItemId(one), one, attributes=shared), NOW) for one in others]
    snapshot = snapshot_of([*kept, seller])
    assert passing(snapshot, {"seller": secret}) == {"b"}
    assert [one.item_id for one in snapshot.wordy("frau Musterfrau", top_n=9)] == ["b"]

    put, removed = ([new], []) if is_corrected else ([], [ItemId("b")])
    later = snapshot.after(put, removed=removed, version=2).after([], removed=[], version=3)

    assert secret not in repr([vars(later), later.base.entries, later.base.columns])
    assert "musterfrau" not in repr(later.lexicon)
    assert passing(later, {"sold": "here"}) == set(others)
    assert passing(later, {"seller": {"$lt": "Z"}}) == set()
    assert passing(later, {"seller": {"$gte": "M"}}) == set(others)
    assert passing(later, {"title": {"$gte": ""}}) == set(others) | (
        {"b"} if is_corrected else set()
    )


def test_items_are_found_by_what_few_others_say_and_never_by_words_that_say_nothing() -> None:
    titles = {"a": "The whale", "b": "The the the", "c": "A book of the sea", "d": "The whale book"}
    entries = [CatalogueEntry(Item(ItemId(one), title), NOW) for one, title in titles.items()]
    snapshot = snapshot_of(entries)

    def found(text: str) -> list[str]:
        return [one.item_id for one in snapshot.wordy(text, top_n=9)]

    assert found("a book about the SEA") == ["c", "d"]
    assert found("Is the whale like a sea?") == ["c", "a", "d"]
    assert found("the") == found("") == found("?!") == []
    narrowed = snapshot.eligible().without([ItemId("a")])
    ranks = [one[::2] for one in snapshot.wordy("whale", top_n=9, among=narrowed)]
    assert ranks == [("d", 2)], "a filter changes no rank"


def test_an_item_that_is_not_available_is_in_no_list_and_still_there() -> None:
    hidden = CatalogueEntry(Item(ItemId("b"), "b"), NOW, available=False)
    snapshot = snapshot_of([*entries_of("ac"), hidden])

    assert set(snapshot.eligible()) == {"a", "c"}
    assert ItemId("b") in snapshot.items([ItemId("b")])


@pytest.mark.parametrize("ids", ["abcd", "a"])
def test_few_eligible_items_of_a_large_catalogue_are_compared_without_the_index(ids: str) -> None:
    index = Index()
    snapshot = CatalogueSnapshot(0, ItemVectors(index), max_exact=3)
    snapshot = snapshot.after(entries_of("abcdef"), removed=(), version=1)
    query = vector_of(ItemId("query"))

    few = snapshot.eligible().without(set("abcdef") - set(ids))  # type: ignore[arg-type] # letters are ids here
    found = snapshot.nearest(query, top_n=9, among=few)

    assert {one.item_id for one in found} == set(ids)
    assert [] not in index.asked
    nearest, searched = snapshot.nearest(query, top_n=9), index.search(query, top_n=9)
    assert [one[:2] for one in nearest] == [one[:2] for one in searched]


def test_the_clause_that_left_nothing_is_told_when_a_filter_matches_no_item() -> None:
    snapshot = snapshot_of([*entries_of("a", price=5), *entries_of("b", price=7)])
    snapshot = snapshot.after(entries_of("c", price=9, new=1), removed=(), version=2)
    document = {"$and": [{"price": {"$gt": 5}}, {"price": {"$lt": 6}}], "new": 1}
    where = parse_where(document, now=NOW, attributes=snapshot.names)

    steps = snapshot.narrowing(where, among=snapshot.eligible().mask)

    assert [tuple(one) for one in steps] == [
        ("where.$and.0.price.$gt", 2, 2),
        ("where.$and.1.price.$lt", 1, 0),
        ("where.new", 1, 0),
    ]


def test_an_eligible_set_is_a_collection_of_ids() -> None:
    eligible = snapshot_of(entries_of("abc")).eligible().without([ItemId("b"), ItemId("none")])

    assert isinstance(eligible, Eligible)
    assert (sorted(eligible), len(eligible)) == (["a", "c"], 2)
    assert "a" in eligible
    assert "b" not in eligible
    assert "none" not in eligible


def test_a_cosine_has_no_rounding_that_the_order_of_items_or_sums_could_show() -> None:
    drawn = np.random.default_rng(7).normal(size=(301, 256)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors, query = on_item_grid(drawn[1:]), drawn[0]

    told = exact_cosines(vectors, query)

    backwards = exact_cosines(np.ascontiguousarray(vectors[::-1, ::-1]), query[::-1].copy())
    exact = vectors.astype(np.float64) @ quantise(query, bits=11).astype(np.float64)
    assert told.tolist() == backwards[::-1].tolist() == exact.tolist()
    assert np.abs(told - drawn[1:] @ query).max() < 1e-3
