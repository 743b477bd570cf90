"""When a text is about a topic by its words, and which topics mean nothing."""

from __future__ import annotations

import pytest

from app.domain.recommendation.topic import has_meaning, mentions


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("ghosts", "A ghost story"),
        ("The Lord of the Rings", "lord of the rings: the two towers"),
        ("Les Misérables", "les miserables (1862)"),
        ("Winnie the Pooh", "Winnie-the-Pooh"),
        ("3F9A1C7BE2", "order 3f9a1c7be2, paid"),
    ],
)
def test_a_text_mentions_a_topic_in_any_case_accent_number_and_article(
    topic: str, text: str
) -> None:
    assert mentions(text, topic=topic)


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("the", "The Castle"),
        ("der", "Der Zauberberg"),
        ("?!", "What?!"),
        ("", ""),
        ("Star Wars", "Wars among the stars"),
        ("war", "The wardrobe"),
    ],
)
def test_no_text_mentions_words_that_say_nothing_nor_parts_or_other_orders(
    topic: str, text: str
) -> None:
    assert not mentions(text, topic=topic)


@pytest.mark.parametrize(
    "topic", ["3f9a1c7be2", "978-0140449136", "SKU-20931-XL", "tt0111161", "the", "?!", "12 34"]
)
def test_an_identifier_and_words_that_say_nothing_have_no_meaning_to_be_near_to(topic: str) -> None:
    assert not has_meaning(topic)


@pytest.mark.parametrize("topic", ["war", "Apollo 13", "the sea", "Krieg", "2001 a space odyssey"])
def test_what_has_a_word_in_it_has_a_meaning(topic: str) -> None:
    assert has_meaning(topic)
