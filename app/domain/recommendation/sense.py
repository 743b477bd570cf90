"""What a note in a person's own words speaks against, told by a list of turns of phrase."""

from __future__ import annotations

import re
from typing import Final

from app.domain.recommendation.topic import telling_words, words_of

_NOT: Final = r"(?:\w+n t|not|never|cannot|no longer|hardly)"
_PRAISE: Final = re.compile(
    rf" (?:{_NOT} (?:\w+ )?(?:enough|tired?|mind|wait|bad|dull|boring|bored|hate|dislike)"
    r"|used to (?:hate|avoid|dislike|loathe|despise)|nothing (?:beats|better|like)|not only"
    r"|(?:nie|nicht) (?:genug|langweilig|satt)|nichts (?:besser\w*|geht uber|schoner\w*))(?= )"
)
"""What has the words of a dislike in it and is none; taken out first."""
_DISLIKE: Final = re.compile(
    r" (?:hate[ds]?|loathe[ds]?|detest(?:ed|s)?|despise[ds]?|dislike[ds]?|abhor|avoid(?:ed|s)?"
    r"|bor(?:e|ed|es|ing)|dull|annoy(?:ed|s|ing)?|depress(?:es|ing)?|(?:tired|sick|weary) of|fed up"
    r"|had enough|enough of|spare me|anything but|no patience|no interest|waste of|to sleep|me cold"
    r"|rather not|no more|nothing (?:with|about|by)|too much|stopped (?:reading|watching)"
    rf"|{_NOT} (?:\w+ ){{0,2}}(?:like|love|enjoy|want|need|stand|bear|finish|show|interested"
    r"|for me|my (?:thing|taste|cup)|again)"
    r"|hass(?:e|t|te)|verabscheu\w*|langweil\w*|nerv(?:t|en)|genug von|nichts (?:anfangen|mehr|mit)"
    r"|keine? (?:\w+ )?mehr|(?:mag|will|mochte) kein\w*|(?:mag|interessier\w*) (?:\w+ )*nicht"
    r"|nicht mein\w*|verschon\w*|satt|leid)(?= )"
)
_SAYS_NOTHING: Final = re.compile(
    r"anymore|another|anything|about|again|book|cold|ever|film|find|finish|genre|had|leave|let|long"
    r"|longer|lot|many|more|movie|much|never|no|novel|other|please|put|read|reading|romane?|see|show|single|stor(?:y"
    r"|ie)|stopped|taste|tale|thank|they|thing|time|used|love|want|watch|waste|writing|bitte|ding|buche?r?"
    r"|geschichte|lesen|mag|mehr|nie|will|interessiere?n?|anfangen|nichts?|like|enjoy|stand|bear"
)


def spoken_against(note: str) -> str | None:
    """Return what a note speaks against, as a topic in words; None where it speaks for something.

    "I hate ghost stories" speaks against "ghost". English and German; what is turned in another way
    is taken as praise, as all notes were before. Measured in ``benchmarks/results/senses.json``.
    """
    said = _PRAISE.sub(" ", f" {' '.join(words_of(note))} ")
    if not _DISLIKE.search(said):
        return None
    telling = telling_words(note)
    left = [word for word in _DISLIKE.sub(" ", said).split() if word in telling]
    return " ".join(w for w in left if not _SAYS_NOTHING.fullmatch(w.removesuffix("s")))
