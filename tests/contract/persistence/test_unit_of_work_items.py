"""The catalogue, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.models import Item, ItemId
from tests.contract.persistence.sql_rows import NOW

STAR_WARS = Item(
    ItemId("50"),
    "Star Wars (1977)",
    "A farm boy leaves home, «far away».",
    {"genres": ["Action", "Sci-Fi"], "year": 1977, "score": 8.6, "is_series": True},
)
FARGO = Item(ItemId("100"), "Fargo (1996)")


def test_items_come_back_exactly(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        assert uow.items.upsert([STAR_WARS, FARGO], at=NOW) == 2

    with uows.read() as uow:
        asked = {STAR_WARS.item_id, FARGO.item_id, ItemId("none")}
        assert uow.items.get_many(asked) == {"50": STAR_WARS, "100": FARGO}
        assert uow.items.missing(asked) == {"none"}
        assert list(uow.items.all_items()) == [FARGO, STAR_WARS]
        assert uow.items.count() == 2


def test_an_item_that_is_hidden_or_a_stub_comes_back_as_one(uows: SqlUnitsOfWork) -> None:
    hidden, stub = replace(STAR_WARS, available=False), Item.stub(ItemId("100"))
    with uows.write() as uow:
        assert uow.items.upsert([STAR_WARS], at=NOW) == 1
        assert uow.items.upsert([hidden, stub], at=NOW) == 2

    with uows.write() as uow:
        assert uow.items.get_many({ItemId("50"), ItemId("100")}) == {"50": hidden, "100": stub}
        assert not hidden.is_shown
        assert not stub.is_shown
        assert uow.items.upsert([replace(stub, is_stub=False), STAR_WARS], at=NOW) == 2
        assert all(one.is_shown for one in uow.items.all_items())


def test_the_catalogue_has_another_version_once_an_item_is_new_or_changed(
    uows: SqlUnitsOfWork,
) -> None:
    versions = []
    for step, entry in enumerate([None, FARGO, FARGO, STAR_WARS, replace(FARGO, title="F")]):
        with uows.write() as uow:
            uow.items.upsert([entry] if entry else [], at=NOW + timedelta(seconds=step))
            versions.append(uow.items.version())

    assert versions[1] == versions[2]
    assert len(set(versions)) == 4


def test_what_changed_since_a_version_is_told_when_others_hold_the_catalogue(
    uows: SqlUnitsOfWork,
) -> None:
    changed = replace(FARGO, title="Fargo")
    with uows.write() as uow:
        start = uow.items.version()
        uow.items.upsert([STAR_WARS, FARGO], at=NOW)
        first = uow.items.version()
        assert {one.item.item_id for one in uow.items.changed_since(start)} == {"50", "100"}
        uow.items.mark_indexed([STAR_WARS, STAR_WARS])
        indexed = uow.items.version()
        assert [one.item for one in uow.items.changed_since(first)] == [STAR_WARS]
        uow.items.upsert([changed, STAR_WARS], at=NOW + timedelta(days=1))
        [told] = uow.items.changed_since(indexed)
        assert (told.item, told.updated_at) == (changed, NOW + timedelta(days=1))
        assert uow.items.ids() == {"50", "100"}
        assert list(uow.items.changed_since(uow.items.version())) == []


def test_nothing_asked_is_nothing_found(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        assert uow.items.get_many([]) == {}
        assert uow.items.missing([]) == set()
        assert uow.items.upsert([], at=NOW) == 0
        uow.items.mark_indexed([])


def test_only_changed_items_count_and_are_indexed_again(uows: SqlUnitsOfWork) -> None:
    changed = Item(FARGO.item_id, FARGO.title, "Now with a description.")
    with uows.write() as uow:
        uow.items.upsert([STAR_WARS, FARGO], at=NOW)
        assert uow.items.unindexed(limit=9) == [FARGO, STAR_WARS]
        assert uow.items.unindexed(limit=1) == [FARGO]
        uow.items.mark_indexed([STAR_WARS, FARGO])
        assert uow.items.unindexed(limit=9) == []

        assert uow.items.upsert([STAR_WARS, changed], at=NOW) == 1

        assert uow.items.unindexed(limit=9) == [changed]
        assert uow.items.get_many([FARGO.item_id]) == {FARGO.item_id: changed}
        assert uow.items.count() == 2


def test_attributes_alone_are_a_change_their_order_is_not(uows: SqlUnitsOfWork) -> None:
    turned = replace(STAR_WARS, attributes=dict(reversed([*STAR_WARS.attributes.items()])))
    other = replace(STAR_WARS, attributes={"year": 1978})
    with uows.write() as uow:
        uow.items.upsert([STAR_WARS], at=NOW)
        assert uow.items.upsert([turned], at=NOW) == 0
        assert uow.items.upsert([other], at=NOW) == 1


def test_an_item_that_changed_meanwhile_is_not_marked(uows: SqlUnitsOfWork) -> None:
    changed = Item(FARGO.item_id, "Fargo, corrected")
    with uows.write() as uow:
        uow.items.upsert([FARGO], at=NOW)
        uow.items.upsert([changed], at=NOW)
        uow.items.mark_indexed([FARGO, STAR_WARS])
        assert uow.items.unindexed(limit=9) == [changed]


def test_the_last_of_a_name_in_a_batch_stands(uows: SqlUnitsOfWork) -> None:
    changed = Item(FARGO.item_id, "Fargo, corrected")
    with uows.write() as uow:
        assert uow.items.upsert([FARGO, changed], at=NOW) == 1
        assert uow.items.get_many([FARGO.item_id]) == {FARGO.item_id: changed}


def test_a_whole_catalogue_streams(uows: SqlUnitsOfWork) -> None:
    items = [Item(ItemId(f"{n:05}"), f"Title {n}") for n in range(3_500)]
    with uows.write() as uow:
        assert uow.items.upsert(items, at=NOW) == 3_500

    with uows.read() as uow:
        assert list(uow.items.all_items()) == items
        assert uow.items.missing([item.item_id for item in items]) == set()
