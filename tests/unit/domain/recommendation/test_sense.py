"""What a note speaks against."""

from __future__ import annotations

import pytest

from app.domain.recommendation.sense import spoken_against


@pytest.mark.parametrize(
    ("note", "topic"),
    [
        ("I hate ghost stories.", "ghost"),
        ("I'm not interested in Harry Potter anymore", "harry potter"),
        ("No more VAMPIRES, please!", "vampires"),
        ("I used to love fantasy, but I have had enough of it.", "fantasy"),
        ("Ich mag keine Krimis.", "krimis"),
        ("Mit Gedichten kann ich nichts anfangen", "gedichten"),
        ("I hate this book", ""),
    ],
)
def test_a_note_against_something_names_it(note: str, topic: str) -> None:
    assert spoken_against(note) == topic


@pytest.mark.parametrize(
    "note",
    [
        "I love ghost stories.",
        "I can't get enough of musicals.",
        "Experimental novels are not bad at all.",
        "I used to avoid fantasy, but now it is all I read.",
        "Nothing beats a good zombie film.",
        "Von Vampiren kann ich nicht genug bekommen.",
        "",
    ],
)
def test_praise_is_never_taken_for_a_dislike_by_the_words_of_one(note: str) -> None:
    assert spoken_against(note) is None
