"""Random catalogues and filters, made of so few values that filters find something."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import strategies as st

from app.domain.models import AttributeValue, Item, ItemId
from app.domain.recommendation.filter import CatalogueEntry

NOW: Final = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
NAMES: Final = ("a", "b", 'c "d" . $', "title", "attributes.a")
ASKED: Final = ("a", "b", 'c "d" . $', "attributes.title", "attributes.attributes.a")
DATES: Final = (
    "2026-03-01",
    "2026-03-01T00:00:00Z",
    "2026-03-01T01:00:00+01:00",
    "2026-02-28T12:00:00.123456Z",
    "2026-02-28T06:30:00.123456-05:30",
    "2026-02-28T12:00:00.1234+00:00",
    "2024-02-29",
    "9999-12-31T23:59:59.999999-14:00",
    "1000-01-01T00:00:00.5+14:00",
    "1969-12-31T23:59:59.25",
)
NO_DATES: Final = (
    *("2023-02-29", "0999-01-01", "2026-3-1", "2026-03-01T25:00:00Z", "2026-03-01 00:00:00Z"),
    *("2026-03-01T00:00Z", "2026-03-01T00:00:00z", "٢٠٢٦-03-01", "2026-03-01T00:00:00+15:00"),
    *("", "-30d", "true", "1", "Ä", "a", "A", "z", "\uffff", "\U0001f600", "it's", "100%", "a\\"),
)
texts: Final = st.sampled_from(DATES + NO_DATES)
numbers: Final = st.sampled_from(
    [-1, 0, 1, 1.0, 0.1, 0.1 + 0.2, -0.0, 2**53, 2**53 - 1, 1e-7, 1e300]
)
scalars: Final = st.one_of(st.booleans(), numbers, texts)
values: Final[st.SearchStrategy[AttributeValue]] = st.one_of(
    scalars,
    st.lists(scalars, max_size=4),
)


@st.composite
def catalogues(draw: st.DrawFn) -> list[CatalogueEntry]:
    """Up to 8 items, some without any attribute."""
    count = draw(st.integers(0, 8))
    return [
        CatalogueEntry(
            Item(
                ItemId(f"{number:02}"),
                draw(texts.filter(bool)),
                attributes=draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=3)),
            ),
            updated_at=NOW - timedelta(hours=draw(st.integers(-2, 50))),
            available=draw(st.booleans()),
        )
        for number in range(count)
    ]


Operands = st.SearchStrategy[object]


def _about(
    names: tuple[str, ...], operands: Operands, ordered: Operands | None
) -> st.SearchStrategy[dict[str, object]]:
    """Return conditions on one or two of the fields, each with up to three operators."""
    kinds: dict[str, Operands] = {
        **dict.fromkeys(("$eq", "$ne", "$contains"), operands),
        **dict.fromkeys(("$in", "$nin"), st.lists(operands, max_size=12)),
        "$exists": st.booleans(),
    }
    if ordered is not None:
        kinds |= dict.fromkeys(("$lt", "$lte", "$gt", "$gte"), ordered)
    pairs = [st.tuples(st.just(name), kind) for name, kind in kinds.items()]
    rules = st.lists(st.one_of(pairs), min_size=1, max_size=3).map(dict)
    negated = st.fixed_dictionaries({"$not": rules})
    wanted = st.one_of(operands, rules, negated)
    return st.dictionaries(st.sampled_from(names), wanted, min_size=1, max_size=2)


moments: Final = st.one_of(st.sampled_from(DATES), st.sampled_from(["-30d", "-1d", "-12h", "+1h"]))
_leaves: Final = st.one_of(
    _about(ASKED, scalars, st.one_of(numbers, texts, moments)),
    _about(("title", "item_id"), st.one_of(texts, st.sampled_from(["01", "10"])), texts),
    _about(("updated_at",), st.sampled_from(DATES), moments),
    _about(("available",), st.booleans(), None),
)
documents: Final[st.SearchStrategy[dict[str, object]]] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda one: {"$not": one}, inner),
        st.builds(lambda one, two: {**one, **two}, inner, inner),
    ),
    max_leaves=4,
)
"""Filters that the parser takes."""
