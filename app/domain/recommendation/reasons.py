"""The prompt that asks why items suit a person, and what is kept of the answer."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.models import Item
from app.domain.recommendation.plain_text import as_data
from app.domain.recommendation.prompt import (
    DEFAULT_LIMITS,
    LABELS,
    Message,
    PromptLimits,
    RankingPrompt,
    ShownMemory,
    candidate_line,
    memory_line,
)
from app.domain.recommendation.prompt_template import PromptTemplate
from app.domain.recommendation.topic import spaced_words


@dataclass(frozen=True, slots=True)
class CitedReason:
    """A sentence about an item, and the memories it rests on, at least one."""

    text: str
    cites: Sequence[ShownMemory]


REASON_CHARS: Final = 160
MAX_CITES: Final = 3
_MOST_FACTS: Final = 3
_FROM_FACTS: Final = {
    "en": "Like {title}: {facts}.",
    "de": "Wie {title}: {facts}.",
}
_LINK: Final = re.compile(r"://|www\.|\b[\w.-]+@[\w-]+\.", re.IGNORECASE)


def reasons_prompt(
    memories: Sequence[ShownMemory],
    *,
    items: Sequence[Item],
    template: PromptTemplate,
    limits: PromptLimits = DEFAULT_LIMITS,
) -> RankingPrompt:
    """Build the prompt: memories behind numbers from 1, items behind labels."""
    labelled = dict(zip(LABELS, items, strict=False))
    lines = [
        template.taste,
        *(
            f"{number}. {memory_line(memory, template=template, limits=limits)}"
            for number, memory in enumerate(memories, start=1)
        ),
        template.items,
        *(
            f"{label}) {candidate_line(item, template=template, limits=limits)}"
            for label, item in labelled.items()
        ),
        template.end,
        template.ask_reasons,
    ]
    return RankingPrompt(
        messages=(Message("system", template.system), Message("user", "\n".join(lines))),
        items={label: item.item_id for label, item in labelled.items()},
    )


def reasons_schema(labels: Collection[str], *, n_memories: int) -> dict[str, object]:
    """Return the JSON schema of the answer: for each label what is cited, then the sentence.

    In that order, so that the model settles what it rests on before it writes.
    """
    cited = {"type": "integer", "enum": list(range(1, n_memories + 1))}
    reason = {
        "type": "object",
        "properties": {
            "lines": {"type": "array", "items": cited, "maxItems": MAX_CITES},
            "sentence": {"type": "string", "maxLength": REASON_CHARS},
        },
        "required": ["lines", "sentence"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": dict.fromkeys(labels, reason),
        "required": list(labels),
        "additionalProperties": False,
    }


def kept_reason(
    told: object, *, item: Item, memories: Sequence[ShownMemory]
) -> tuple[str, list[int]] | None:
    """Return the sentence and the places (from 0) of the memories it cites; None to drop it.

    A sentence is dropped that cites nothing, or something that was not shown, or has a link: what
    it was told about was written by others. And one that says nothing that the item and a cited
    memory have in common, titles and numbers aside: a model that does not understand writes those.

    Args:
        told: what the model answered for the item.
        item: what it is asked about.
        memories: those that were shown.
    """
    if not isinstance(told, Mapping):
        return None
    sentence, lines = told.get("sentence"), told.get("lines")
    if not isinstance(sentence, str) or not isinstance(lines, list):
        return None
    shown = as_data(sentence, max_chars=REASON_CHARS)
    cites = {
        line - 1
        for line in lines
        if isinstance(line, int) and not isinstance(line, bool) and 1 <= line <= len(memories)
    }
    if not shown or not cites or len(cites) < len(set(map(str, lines))) or _LINK.search(shown):
        return None
    cited = [memories[at] for at in cites]
    remembered = set().union(*(_ground(one.item, one.text or "") for one in cited))
    titles = [item.title, *(one.item.title for one in cited if one.item is not None)]
    said = _words(shown) - _words(" ".join(titles))
    return (shown, sorted(cites)) if said & _ground(item) & remembered else None


def shared_facts(item: Item, remembered: Item) -> list[str]:
    """Return the values in words that both have of an attribute, in the order of the item's."""
    return [
        fact
        for name, value in item.attributes.items()
        for fact in _in_words(value)
        if fact in _in_words(remembered.attributes.get(name))
    ]


def reason_from_facts(
    item: Item, memories: Sequence[ShownMemory], *, language: str
) -> CitedReason | None:
    """Return the memory of an item that shares most with this one, and what; None without any.

    Args:
        item: what is recommended.
        memories: of the items that speak for it, strongest first.
        language: ``en`` or ``de``.
    """
    shared = [(one, one.item.title, shared_facts(item, one.item)) for one in memories if one.item]
    if not any(facts for _, _, facts in shared):
        return None
    memory, title, facts = max(shared, key=lambda one: len(one[2]))
    told = ", ".join(facts[:_MOST_FACTS])
    text = _FROM_FACTS[language].format(title=as_data(title, max_chars=96), facts=told)
    return CitedReason(as_data(text, max_chars=REASON_CHARS), [memory])


def _ground(item: Item | None, text: str = "") -> set[str]:
    """Return the words that a reason may rest on: attributes, description, a person's own."""
    if item is None:
        return _words(text)
    facts = [fact for value in item.attributes.values() for fact in _in_words(value)]
    return _words(" ".join([item.description, *facts, text]))


def _in_words(value: object) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [one for one in values if isinstance(one, str)]


def _words(text: str) -> set[str]:
    return {word for word in spaced_words(text).split() if not word.isdigit()}
