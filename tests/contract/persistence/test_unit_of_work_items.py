"""The catalogue, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.models import Item, ItemId
from app.ports.persistence.removals import Removal
from tests.contract.persistence.sql_rows import NOW, request_id

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


def test_stubs_are_no_entries_of_the_catalogue(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.items.upsert([FARGO], at=NOW)
        uow.items.add_stubs([FARGO.item_id, ItemId("200")], at=NOW)
        uow.items.add_stubs([], at=NOW)

    with uows.read() as uow:
        assert uow.items.get_many({FARGO.item_id, ItemId("200")}) == {
            FARGO.item_id: FARGO,
            ItemId("200"): Item.stub(ItemId("200")),
        }
        assert list(uow.items.all_items()) == uow.items.unindexed(limit=9) == [FARGO]
        assert uow.items.count() == 1
        assert uow.items.page(after=None, limit=9) == [FARGO]


def test_pages_follow_each_other_by_id_and_what_is_removed_is_gone(uows: SqlUnitsOfWork) -> None:
    entries = [Item(ItemId(f"{number:02d}"), "t") for number in range(5)]
    with uows.write() as uow:
        uow.items.upsert(entries, at=NOW)
        before = uow.items.version()
        assert uow.items.page(after=None, limit=2) == entries[:2]
        assert uow.items.page(after=ItemId("01"), limit=2) == entries[2:4]
        assert uow.items.page(after=ItemId("04"), limit=2) == []
        assert uow.items.hold([ItemId("03"), ItemId("x")]) == {ItemId("03"): entries[3]}

        uow.items.remove([ItemId("03"), ItemId("x")])

        assert uow.items.page(after=ItemId("01"), limit=9) == [entries[2], entries[4]]
        assert uow.items.version() != before


def test_a_removal_is_one_processes_until_it_is_put_off_or_over(uows: SqlUnitsOfWork) -> None:
    removals = [Removal(request_id(name), ItemId(name), "sealed") for name in "ab"]
    with uows.write() as uow:
        for removal in removals:
            uow.removals.add(removal, due_at=NOW)

    later, latest = NOW + timedelta(minutes=1), NOW + timedelta(hours=1)
    with uows.write() as uow:
        assert uow.removals.claim(now=NOW - timedelta(seconds=1), until=latest, limit=9) == []
        first = uow.removals.claim(now=NOW, until=later, limit=1)
        rest = uow.removals.claim(now=NOW, until=later, limit=9)
        assert {one.item_id for one in (*first, *rest)} == {"a", "b"}
        assert uow.removals.claim(now=NOW, until=later, limit=9) == []
        uow.removals.drop([first[0].removal_id])
        uow.removals.put_off([rest[0].removal_id], due_at=NOW)
        assert uow.removals.claim(now=NOW, until=later, limit=9) == rest
