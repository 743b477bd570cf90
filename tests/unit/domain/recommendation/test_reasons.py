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


def test_a_sentence_with_its_memories_is_kept() -> None:
    told = {"lines": [3, 1, 3], "sentence": "Both are\n  slow\u202e and eerie."}

    assert kept_reason(told, n_memories=3) == ("Both are slow and eerie.", [0, 2])


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {"lines": [], "sentence": "It cites nothing."},
        {"lines": [4], "sentence": "It cites what was not shown."},
        {"lines": [1, 0], "sentence": "It cites what was not shown, too."},
        {"lines": [True], "sentence": "It cites a truth."},
        {"lines": ["1"], "sentence": "It cites a text."},
        {"lines": "1", "sentence": "It cites a text."},
        {"lines": [1], "sentence": ""},
        {"lines": [1], "sentence": "\u200b \n"},
        {"lines": [1], "sentence": 7},
        {"lines": [1], "sentence": "Buy it at https://example.org now"},
        {"lines": [1], "sentence": "Buy it at WWW.example.org now"},
        {"lines": [1], "sentence": "Write to me@example.org"},
    ],
)
def test_a_sentence_that_rests_on_nothing_shown_is_dropped(told: object) -> None:
    assert kept_reason(told, n_memories=3) is None


@given(
    sentence=st.text(max_size=400),
    lines=st.lists(st.one_of(st.integers(-2, 9), st.booleans(), st.text(max_size=2)), max_size=6),
)
def test_whatever_is_kept_is_one_short_line_that_cites(sentence: str, lines: list[object]) -> None:
    kept = kept_reason({"lines": lines, "sentence": sentence}, n_memories=4)

    if kept is not None:
        text, cites = kept
        assert 0 < len(text) <= REASON_CHARS
        assert len(text.splitlines()) == 1
        assert cites
        assert set(cites) <= set(range(4))
