"""What a filter means, what is refused and how, and what the columns of a catalogue promise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.errors import InvalidInputError
from app.domain.models import AttributeValue, Item, ItemId
from app.domain.recommendation.columns import Columns
from app.domain.recommendation.filter import CatalogueEntry, Where, matches
from app.domain.recommendation.filter_parser import parse_where
from tests.where_cases import NOW

slow = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SECRET = "4111-1111-1111-1111"


def entry(
    item_id: str = "1", *, title: str = "Heat", available: bool = True, **attributes: AttributeValue
) -> CatalogueEntry:
    item = Item(ItemId(item_id), title, attributes=attributes)
    return CatalogueEntry(item, updated_at=NOW - timedelta(days=10), available=available)


def parse(document: object) -> Where:
    return parse_where(document, now=NOW, attributes=None)


def is_match(document: object, found: CatalogueEntry) -> bool:
    where = parse(document)
    plain = matches(where, found)
    assert Columns.of([found]).mask(where).tolist() == [plain]
    return plain


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"genres": "crime"},
        {"genres": {"$in": ["war", "drama"]}},
        {"genres": {"$contains": "drama"}},
        {"genres": {"$ne": "war"}, "price": {"$gte": 5, "$lt": 6}},
        {"price": 5.5, "stock": 3.0},
        {"sizes": {"$gt": 44, "$lt": 40}},  # each met by some element, as in MongoDB
        {"nothing": {"$ne": 1}},
        {"nothing": {"$nin": [1, "a"]}},
        {"nothing": {"$exists": False}},
        {"nothing": {"$not": {"$gt": 1}}},
        {"none": {"$exists": True}},
        {"none": {"$nin": ["a"]}},
        {"released": {"$gte": "-30d"}},
        {"released": {"$lt": "-12h"}},
        {"released": {"$lt": "+1d"}},
        {"released": "2026-02-20T12:00:00Z"},  # the same instant in another zone
        {"released": {"$gt": "2026-02-20"}},
        {"updated_at": {"$gt": "-11d", "$lt": "-9d"}},
        {"available": True, "item_id": "1", "title": "Heat"},
        {"attributes.title": "Hitze"},
        {"$or": [{"price": {"$gt": 100}}, {"new": False}]},
        {"$and": [{"genres": "crime"}]},
        {"$nor": [{"price": {"$gt": 100}}, {"new": True}]},
        {"$not": {"price": {"$gt": 100}}},
        {"name": {"$gt": "Z"}},  # code points, so lower case comes after upper
    ],
)
def test_an_item_is_kept_when_it_meets_every_condition(document: dict[str, object]) -> None:
    found = entry(
        genres=["crime", "drama"],
        price=5.5,
        stock=3,
        sizes=[39, 45],
        none=[],
        released="2026-02-20T13:00:00+01:00",
        new=False,
        name="ab",
    )
    held = CatalogueEntry(
        Item(found.item.item_id, "Heat", attributes={**found.item.attributes, "title": "Hitze"}),
        found.updated_at,
    )

    assert is_match(document, held)


@pytest.mark.parametrize(
    "document",
    [
        {"genres": {"$ne": "crime"}},
        {"genres": {"$nin": ["war", "crime"]}},
        {"price": "5"},
        {"price": True},
        {"flag": 1},
        {"digits": 5},
        {"digits": {"$gt": 1}},
        {"digits": {"$lt": "2026-01-01"}},
        {"price": {"$gt": "a"}},
        {"nothing": {"$lt": 9}},
        {"nothing": "a"},
        {"none": "a"},
        {"none": {"$exists": False}},
        {"genres": {"$in": []}},
        {"genres": "Crime"},
        {"price": {"$gt": 5, "$lt": 5}},
        {"released": {"$gt": "2026-01-01"}},  # no day of the calendar: a text, not an instant
        {"title": {"$gt": "Heat"}},
        {"item_id": "1 "},
        {"available": False},
        {"updated_at": {"$gt": "-9d"}},
    ],
)
def test_an_item_is_left_out_when_it_misses_a_condition(document: dict[str, object]) -> None:
    found = entry(
        genres=["crime", "drama"], price=5, flag=True, digits="5", none=[], released="2026-02-30"
    )

    assert not is_match(document, found)


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ([], "where", "must be a JSON object"),
        ({"$where": "1"}, "where.$where", "unknown operator"),
        ({"a": {"$regex": SECRET}}, "where.a.$regex", "unknown operator"),
        ({"a": {"$gt": 1, "b": SECRET}}, "where.a.b", "unknown operator"),
        ({"a": {}}, "where.a", "must name an operator"),
        ({"a": None}, "where.a", "must not be null"),
        ({"a": [SECRET]}, "where.a", "$in takes a list"),
        ({"a": {"$in": SECRET}}, "where.a.$in", "must be a list"),
        ({"a": {"$in": [1, [SECRET]]}}, "where.a.$in.1", "must be a string"),
        ({"a": {"$gt": True}}, "where.a.$gt", "booleans have no order"),
        ({"a": {"$exists": 1}}, "where.a.$exists", "true or false"),
        ({"a": {"$not": SECRET}}, "where.a.$not", "must be a JSON object"),
        ({"a": float("nan")}, "where.a", "finite number"),
        ({"a": 2**53 + 1}, "where.a", "2**53"),
        ({"a": 10**400}, "where.a", "2**53"),
        ({"a": "\0" + SECRET}, "where.a", "printable"),
        ({"a": "\ud800"}, "where.a", "printable"),
        ({"a": "x" * 513}, "where.a", "at most 512"),
        ({"x" * 129: 1}, "where." + "x" * 64, "at most 128"),
        ({"a\0": 1}, "where.a?", "printable name"),
        ({"$and": []}, "where.$and", "at least one"),
        ({"$or": {"a": 1}}, "where.$or", "must be a list"),
        ({"$or": [{"a": 1}, SECRET]}, "where.$or.1", "must be a JSON object"),
        ({"$not": [1]}, "where.$not", "must be a JSON object"),
        ({"available": "yes"}, "where.available", "must be of the type boolean"),
        ({"item_id": 5}, "where.item_id", "must be of the type text"),
        (
            {"updated_at": {"$gt": "yesterday"}},
            "where.updated_at.$gt",
            "must be of the type instant",
        ),
        ({"title": {"$in": ["a", 1]}}, "where.title.$in.1", "must be of the type text"),
        ({"a": {"$in": [0] * 600, "$nin": [0] * 401}}, "where.a.$nin", "at most 1000 values"),
        (
            {"$or": [{"a": {"$gt": 1, "$lt": 2}}] * 33},
            "where.$or.32.a.$gt",
            "at most 64 conditions",
        ),
        ({"$and": [{}] * 65}, "where.$and.64", "at most 64 conditions"),
    ],
)
def test_the_path_is_named_and_no_value_when_a_filter_is_refused(
    document: object, path: str, message: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse(document)

    [error] = caught.value.errors
    assert error.field == path
    assert message in error.message
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("operator", ["$and", "$or", "$nor", "$not", "field"])
def test_nesting_is_refused_when_it_is_deeper_than_eight(operator: str) -> None:
    def nested(depth: int) -> dict[str, object]:
        document: dict[str, object] = {"$gt": 1} if operator == "field" else {"a": 1}
        for _ in range(depth - 1):
            name = "$not" if operator == "field" else operator
            document = {name: document if name == "$not" else [document]}
        return {"a": document} if operator == "field" else document

    parse(nested(8))
    with pytest.raises(InvalidInputError, match="deeper than 8"):
        parse(nested(9))
    with pytest.raises(InvalidInputError, match="deeper than 8"):
        parse(nested(300))


def test_the_nearest_names_are_told_when_no_item_has_an_attribute() -> None:
    names = ["price", "prize", "genres", "stock"]

    with pytest.raises(InvalidInputError) as caught:
        parse_where({"$or": [{"Prise": {"$lt": 5}}]}, now=NOW, attributes=names)

    [error] = caught.value.errors
    assert error.field == "where.$or.0.Prise"
    assert error.message == "no item has this attribute; the nearest names are prize, price"
    with pytest.raises(InvalidInputError, match=r"no item has this attribute$"):
        parse_where({"qqqq": 1}, now=NOW, attributes=names)
    assert parse_where({"title": "a", "stock": 1}, now=NOW, attributes=names).clauses


def test_both_filters_hold_when_a_scenario_and_a_caller_have_one() -> None:
    scenario = parse_where({"price": {"$lt": 9}}, now=NOW, attributes=None, path="scenario.where")
    both = scenario & parse({"new": True})

    assert [clause.path for clause in both.clauses] == ["scenario.where.price.$lt", "where.new"]
    assert matches(both, entry(price=5, new=True))
    assert not matches(both, entry(price=5, new=False))
    assert not matches(both, entry(price=10, new=True))


@slow
@given(
    seed=st.integers(0, 99),
    low=st.integers(-1, 301),
    wanted=st.lists(st.integers(0, 300), max_size=40),
    is_list=st.booleans(),
    every=st.sampled_from([1, 3, 20]),
)
def test_masks_are_the_plain_evaluation_of_many_items(
    *, seed: int, low: int, wanted: list[int], is_list: bool, every: int
) -> None:
    """Enough items for codes of two bytes, frequent values, sparse columns and long lists."""
    levels = np.random.default_rng(seed).integers(0, 300, size=400).tolist()
    catalogue = [
        entry(str(row), level=[level, level % 7] if is_list else level)
        if row % every == 0
        else entry(str(row))
        for row, level in enumerate(levels)
    ]
    columns = Columns.of(catalogue)
    for rule in ({"$gt": low}, {"$lte": low}, {"$in": wanted}, {"$gte": low, "$lt": low + 9}):
        where = parse({"level": rule})
        assert columns.mask(where).tolist() == [matches(where, one) for one in catalogue]


def test_an_operand_counts_from_now_when_it_is_relative() -> None:
    at = datetime(2026, 3, 29, 3, 0, tzinfo=UTC)
    where = parse_where({"updated_at": {"$gte": "-24h"}}, now=at, attributes=None)

    def updated(hours: float) -> CatalogueEntry:
        return CatalogueEntry(Item(ItemId("1"), "t"), updated_at=at - timedelta(hours=hours))

    assert matches(where, updated(24))
    assert not matches(where, updated(24.001))
