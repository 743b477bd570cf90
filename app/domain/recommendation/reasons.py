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


@dataclass(frozen=True, slots=True)
class CitedReason:
    """A sentence about an item, and the memories it rests on, at least one."""

    text: str
    cites: Sequence[ShownMemory]


REASON_CHARS: Final = 160
MAX_CITES: Final = 3
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


def kept_reason(told: object, *, n_memories: int) -> tuple[str, list[int]] | None:
    """Return the sentence and the places (from 0) of the memories it cites; None to drop it.

    A sentence is dropped that cites nothing, or something that was not shown, or has a link: what
    it was told about was written by others.

    Args:
        told: what the model answered for one label.
        n_memories: how many were shown.
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
        if isinstance(line, int) and not isinstance(line, bool) and 1 <= line <= n_memories
    }
    if not shown or not cites or len(cites) < len(set(map(str, lines))) or _LINK.search(shown):
        return None
    return shown, sorted(cites)
