"""Text that others wrote, made fit to be shown to a model as data."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_BRACKETS: Final = str.maketrans({**dict.fromkeys("<[{", "("), **dict.fromkeys(">]}", ")")})
_FENCE: Final = re.compile("={2,}")
_DROPPED: Final = frozenset({"Cf", "Cs", "Co", "Cn"})
"""Unicode categories without a visible form: bidi and zero-width marks, halves of pairs,
private and unassigned characters."""
_READ_AHEAD: Final = 4


def as_data(text: str, *, max_chars: int) -> str:
    """Return ``text`` as one line that can be shown to a model as data.

    Compatibility forms are folded first, so that no look-alike of a bracket survives; then
    line breaks and control characters become single spaces, invisible characters go, the
    brackets of control tokens such as ``<|im_end|>`` or ``[INST]`` become round ones, and no
    two equals signs stay together, of which fences are made.

    Args:
        text: anything; only the first ``4 * max_chars`` characters are looked at.
        max_chars: longest result, >= 0; a cut text ends in an ellipsis.
    """
    folded = unicodedata.normalize("NFKC", text[: _READ_AHEAD * max_chars])
    visible = " ".join("".join(_plain(char) for char in folded).split())
    line = _FENCE.sub("=", visible.translate(_BRACKETS))
    if len(line) <= max_chars:
        return line
    return line[: max_chars - 1].rstrip() + "…" if max_chars else ""


def _plain(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cc":
        return " "
    return "" if category in _DROPPED else char
