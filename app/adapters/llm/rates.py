"""What texts cost in tokens of the served model, and work in seconds: learned from its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from math import ceil, inf
from threading import Lock
from time import monotonic
from typing import Final

from app.domain.errors import DependencyUnavailableError

SHARE: Final = 0.8
"""Of the time, and of the context; the rest is for what a call takes more than was thought."""
_FIRST_GUESS: Final = 1 / 3
"""Tokens a plain byte, until something was measured: more than a tokenizer takes for its
language."""
_DIGITS: Final = b"0123456789"
_MOST: Final = 1.0
"""Of bytes alone, as vocabularies spell what they do not know; no text takes more."""
_LEAST: Final = 0.01
_LEARNING: Final = 1 / 8
_PACE_LEARNING: Final = 1 / 4
_GIVEN_UP: Final = 1.5


class TokenRate:
    """Tokens that the served model reads for a byte of UTF-8, learned from what it says it read.

    A byte and not a character: most vocabularies are of bytes, and a character that has two of
    them costs about twice. Digits, and what is not ASCII, apart from the plain rest, as which our
    own words are: each digit is often a token, and in alphabets that a model was not made for each
    byte. Asking the server to count each text would be exact and cost a round trip for each
    answer; rates cost nothing, and are right where it matters, in the sum. Safe for threads.
    """

    def __init__(self) -> None:
        """Start with a guess on the high side."""
        self._lock = Lock()
        self._rates = (_FIRST_GUESS, _MOST)
        self._is_measured = False

    def learn(self, texts: Sequence[str], *, n_tokens: int) -> None:
        """Take in that the model read ``texts`` as ``n_tokens``.

        Each rate is moved by its part in the sum (normalised least mean squares).
        """
        sizes = [sum(some) for some in zip((0, 0), *map(_sizes, texts), strict=True)]
        if not any(sizes) or n_tokens <= 0:
            return
        with self._lock:
            thought = sum(rate * size for rate, size in zip(self._rates, sizes, strict=True))
            weight = _LEARNING if self._is_measured else 1.0
            step = weight * (n_tokens - thought) / sum(size**2 for size in sizes)
            plain, other = (
                min(max(rate + step * size, _LEAST), _MOST)
                for rate, size in zip(self._rates, sizes, strict=True)
            )
            self._rates, self._is_measured = (plain, other), True

    def refused(self) -> bool:
        """Take in that a text is more tokens than was thought, how many is not known.

        Twice as many are taken for a byte, of the dense ones first.

        Returns:
            Whether the same texts count as longer now; not where each byte is a token already.
        """
        with self._lock:
            plain, other = before = self._rates
            if other < _MOST:
                self._rates = plain, min(2 * other, _MOST)
            else:
                self._rates = min(2 * plain, _MOST), other
            return self._rates != before

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Learn nothing until the block ends: the words of a probe are shorter than anybody's."""
        with self._lock:
            before = self._rates, self._is_measured
        try:
            yield
        finally:
            with self._lock:
                self._rates, self._is_measured = before

    def tokens(self, text: str) -> int:
        """Return about how many tokens ``text`` takes, rounded up."""
        plain, other = self._rates
        n_plain, n_other = _sizes(text)
        return ceil(n_plain * plain + n_other * other)


def _sizes(text: str) -> tuple[int, int]:
    """Return how many bytes are ASCII and no digits, and how many others there are."""
    n_plain = len(text.encode("ascii", "ignore").translate(None, _DIGITS))
    return n_plain, len(text.encode()) - n_plain


class Pace:
    """Seconds that a server takes for a unit of work, learned from what its calls took.

    A unit is a token read, or whatever else a form's time grows with. Safe for threads.

    Args:
        now: a clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.now = now
        self._lock = Lock()
        self._unit_s = 0.0

    @contextmanager
    def waiting(self, n_units: float) -> Iterator[float]:
        """Give the time at which a call begins.

        One that is given up would have taken longer, nobody knows how much: half as long again is
        taken for it, so that a few do not open the breaker of a server that was asked too much.
        """
        since_s = self.now()
        try:
            yield since_s
        except DependencyUnavailableError:
            found = (self.now() - since_s) / max(n_units, 1)
            with self._lock:
                if self._unit_s < found:
                    self._unit_s = _GIVEN_UP * found
            raise

    def learn(self, n_units: float, *, since_s: float) -> None:
        """Take in that so many units took until now."""
        if n_units <= 0:
            return
        found = (self.now() - since_s) / n_units
        with self._lock:
            self._unit_s += (_PACE_LEARNING if self._unit_s else 1.0) * (found - self._unit_s)

    def start_over(self) -> None:
        """Forget what was learned, as when a first call has paid one-off costs."""
        with self._lock:
            self._unit_s = 0.0

    def units_in(self, seconds: float) -> float:
        """Return how many units can be done in the time; any number until something was learned."""
        return SHARE * seconds / self._unit_s if self._unit_s > 0 else inf


def n_affordable(costs: Iterable[float], *, budget: float, least: int = 2) -> int:
    """Return how many of the first ones a budget pays, at least two: one is no choice."""
    return max(least, sum(one <= budget for one in accumulate(costs)))
