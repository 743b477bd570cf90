"""Whether a text is about a topic: by its words, or by its meaning."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.domain.models import AttributeValue, Item

MEANING_THRESHOLD: Final = 0.40
"""Least cosine between a topic and an item that is about it. On the demo set the members of
eight series lie at 0.42 to 0.87 from the series' name, the nearest other book at 0.38."""
LIKENESS_THRESHOLD: Final = 0.80
"""Least cosine between such an item and the mean of those that name the topic, where some do: a
name says less of a film than the films that bear it. "Star Wars" alone is near to every war film
of MovieLens 100K (precision .12 over the series, .75 with this); its sequels lie at 0.86."""
CERTAIN_THRESHOLD: Final = 0.50
"""Cosine between a topic and an item from which on nothing else is asked: of 92 labelled pairs this
finds .45 of what is about a topic, 0.6 found .34, as precisely (``results/topics.json``)."""
KIN_THRESHOLD: Final = 0.30
"""Least cosine between a topic and an item by the author of one that bears the topic in its title,
or of its series: nothing in the text of "Fantastic Beasts" says "Harry Potter". Of the labelled
pairs this finds .60 instead of .49 of what is about a topic, and takes no false one
(``results/topics.json``)."""
_KIN: Final = ("author", "authors", "creator", "creators", "franchise", "series")
"""Attributes that tell whose an item is, or what it goes on with."""
MAX_TOPICS: Final = 50
"""Most topics that a user may keep out: each is looked at for every answer."""
_WORD: Final = re.compile(r"\w+")
_SHORT: Final = 3
"""Letters of a word that is left as it is, and makes no name."""
_ENGLISH: Final = """
a about all also am an and any are as at be been being but by can could did do does for from had has
have he her him his how i if in into is it its just like me more most my no nor not of on or our own
so some such than that the their them then there these they this those to too us very was we were
what when which who whom why will with would you your d don ll m re s t ve"""
_GERMAN: Final = """
aber als am an auch auf aus bei bis da das dass dem den der des dir du ein eine einem einen einer
eines er es fur habe ich ihr im in ist ja kann kein keine mich mir mit nach nicht noch nur oder
schon sehr sein sich sie sind so uber um und uns von vor wenn wer wie wir wird zu zum zur"""
_STOP_WORDS: Final = frozenset((_ENGLISH + _GERMAN).split())
"""Words that are in texts about anything: they match nothing by themselves. None that says much in
the other language, as "war" and "die" would."""


class MatchedBy(StrEnum):
    """How something was found to be about a topic."""

    WORDS = "words"
    MEANING = "meaning"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that a user does not want.

    Args:
        topic_id: 64 hex digits, a keyed hash of the user and the normalised text; empty for what a
            note speaks against, which is stored nowhere but in the note.
        text: as the user said it, 2 to 256 characters; personal.
    """

    topic_id: str
    text: str


def words_of(text: str) -> list[str]:
    """Return the words of a text, without case, accents and punctuation."""
    if text.isascii():
        return _WORD.findall(text.lower())
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(char for char in plain if not unicodedata.combining(char)))


def telling_words(text: str) -> set[str]:
    """Return the words of a text that say what it is about, such as no article."""
    return set(words_of(text)) - _STOP_WORDS


def spaced_words(text: str) -> str:
    """Return the telling words of a text in order, a blank on either side of each; "" without any.

    Without a final s, so that "ghosts" are in a "ghost story", and what is anybody's is theirs.
    """
    words = [word for word in words_of(text) if word not in _STOP_WORDS]
    folded = [word[:-1] if len(word) > _SHORT and word[-1] == "s" else word for word in words]
    return f" {' '.join(folded)} " if folded else ""


def has_meaning(topic: str) -> bool:
    """Whether anything can be near to a topic: not to an identifier, nor to words like "the".

    An identifier has a digit, and is one piece or has no word of four letters in it: a name such
    as "Apollo 13" is none.
    """
    if not any(char.isdigit() for char in topic):
        return bool(spaced_words(topic))
    names = [word for word in words_of(topic) if word.isalpha() and len(word) > _SHORT]
    return " " in topic.strip() and bool(names)


def mentions(text: str, *, topic: str) -> bool:
    """Whether the telling words of ``topic`` occur in ``text``, whole and in their order."""
    wanted = spaced_words(topic)
    return bool(wanted) and wanted in spaced_words(text)


def kin_of(item: Item) -> frozenset[str]:
    """Return whose an item is, and its series, in plain words."""
    told = [_texts(item.attributes[name]) for name in _KIN if name in item.attributes]
    return frozenset(" ".join(words_of(one)) for some in told for one in some) - {""}


def words_about(item: Item) -> str:
    """Return all that the catalogue says of an item, for the search by words."""
    facts = [part for value in item.attributes.values() for part in _texts(value)]
    # A full stop between the parts would not stop a phrase from matching across two of them.
    return " \n\x1f ".join([item.title, item.description, *facts])


def _texts(value: AttributeValue) -> list[str]:
    parts = value if isinstance(value, list | tuple) else [value]
    return [part for part in parts if isinstance(part, str)]
