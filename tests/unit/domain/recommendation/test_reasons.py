"""What is kept of a model's reasons, and what it is asked."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.llm.prompts import load_template
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import ShownMemory
from app.domain.recommendation.reasons import (
    REASON_CHARS,
    kept_reason,
    reason_from_facts,
    reasons_prompt,
    reasons_schema,
)

EN = load_template("en")


def test_memories_are_numbered_and_items_labelled() -> None:
    memories = [
        ShownMemory(Kind.LIKE, Item(ItemId("1"), "Dracula")),
        ShownMemory(Kind.NOTE, text="x"),
    ]
    items = [Item(ItemId("a"), "Carmilla"), Item(ItemId("b"), "Emma")]

    built = reasons_prompt(memories, items=items, template=EN)

    lines = built.messages[1].content.splitlines()
    assert lines[1:3] == ["1. Liked: Dracula", '2. Said: "x"']
    assert lines[4:6] == ["A) Carmilla", "B) Emma"]
    assert lines[-1] == EN.ask_reasons
    assert built.items == {"A": "a", "B": "b"}


def test_the_schema_knows_only_what_was_shown() -> None:
    text = json.dumps(reasons_schema(["A", "B"], n_memories=2))

    assert '"enum": [1, 2]' in text
    assert f'"maxLength": {REASON_CHARS}' in text
    assert '"required": ["A", "B"]' in text


CASTLE = Item(
    ItemId("c"),
    "Castle of 1764",
    "A haunted house.",
    {"subjects": ["gothic", "ghosts"], "year": 1764},
)
SCREW = Item(ItemId("s"), "The Screw", "Ghosts in a lonely house.", {"subjects": ["gothic"]})
EMMA = Item(ItemId("e"), "Emma", "A matchmaker.", {"subjects": ["love"], "author": "Jane Austen"})
SHOWN = [
    ShownMemory(Kind.LIKE, SCREW),
    ShownMemory(Kind.LIKE, EMMA),
    ShownMemory(Kind.NOTE, text="Old houses, eerie ones"),
]


def test_a_sentence_with_its_memories_is_kept() -> None:
    told = {"lines": [3, 1, 3], "sentence": "Both are\n  slow\u202e and gothic."}

    assert kept_reason(told, item=CASTLE, memories=SHOWN) == ("Both are slow and gothic.", [0, 2])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (1, "1764"),
        (1, "Liked"),
        (1, "The Screw and the Castle"),
        (1, "A wonderful adventure on the sea."),
        (2, "It has ghosts and is gothic."),
        (2, "Jane Austen wrote about love."),
    ],
)
def test_a_sentence_is_dropped_when_item_and_cited_memory_do_not_share_what_it_says(
    line: int, sentence: str
) -> None:
    assert kept_reason({"lines": [line], "sentence": sentence}, item=CASTLE, memories=SHOWN) is None


def test_words_of_a_note_support_a_sentence_too() -> None:
    told = {"lines": [3], "sentence": "You asked for an old house."}

    assert kept_reason(told, item=CASTLE, memories=SHOWN) is not None


def test_facts_alone_tell_why_by_the_memory_that_shares_most() -> None:
    lewis = Item(ItemId("m"), "The Monk", "", {"subjects": ["gothic", "ghosts"]})
    told = reason_from_facts(CASTLE, [SHOWN[0], ShownMemory(Kind.VIEW, lewis)], language="en")

    assert told is not None
    assert told.text == "Like The Monk: gothic, ghosts."
    assert [one.kind for one in told.cites] == [Kind.VIEW]
    assert reason_from_facts(CASTLE, SHOWN[1:], language="de") is None


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {"lines": [], "sentence": "Gothic, citing nothing."},
        {"lines": [4], "sentence": "Gothic, of what was not shown."},
        {"lines": [1, 0], "sentence": "Gothic, of what was not shown."},
        {"lines": [True], "sentence": "Gothic, by a truth."},
        {"lines": ["1"], "sentence": "Gothic, by a text."},
        {"lines": "1", "sentence": "Gothic, by a text."},
        {"lines": [1], "sentence": ""},
        {"lines": [1], "sentence": "\u200b \n"},
        {"lines": [1], "sentence": 7},
        {"lines": [1], "sentence": "Gothic at https://example.org now"},
        {"lines": [1], "sentence": "Gothic at WWW.example.org now"},
        {"lines": [1], "sentence": "Gothic: me@example.org"},
    ],
)
def test_a_sentence_that_rests_on_nothing_shown_is_dropped(told: object) -> None:
    assert kept_reason(told, item=CASTLE, memories=SHOWN) is None


@given(
    sentence=st.text(max_size=400).map(lambda text: f"Gothic {text}"),
    lines=st.lists(st.one_of(st.integers(-2, 9), st.booleans(), st.text(max_size=2)), max_size=6),
)
def test_whatever_is_kept_is_one_short_line_that_cites(sentence: str, lines: list[object]) -> None:
    kept = kept_reason({"lines": lines, "sentence": sentence}, item=CASTLE, memories=SHOWN)

    if kept is not None:
        text, cites = kept
        assert 0 < len(text) <= REASON_CHARS
        assert len(text.splitlines()) == 1
        assert cites
        assert set(cites) <= set(range(3))
