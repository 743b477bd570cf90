"""Gathering candidates: behaviour, content and popularity, fused under the rules of the list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId, Scored
from app.domain.recommendation.clusters import telling
from app.domain.recommendation.fusion import reciprocal_ranks
from app.domain.recommendation.repulsion import repelled
from app.ports.neighbours import Neighbours
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.recommendation.answer import Source
from app.services.recommendation.rules import Rules

_SHOWN_LATELY: Final = 0.5
"""What is left of the score of an item that was shown lately: about sixty places."""
_QUERY_DEPTH: Final = 300
"""Items that a free text finds by meaning, and by words."""

_WORDS: Final = 0.5
"""What shared words count beside the meaning: measured in ``benchmarks/results/words.json``."""


@dataclass(frozen=True, slots=True)
class CandidateConfig:
    """How many candidates each source gives, and how much its ranks count.

    Args:
        depth: items taken from each source, >= 1.
        content_limit: most items asked of the catalogue index (it answers slower the more).
        weight_neighbours: weight of co-occurrence in the fusion, > 0.
        weight_content: weight of content search, > 0.
        weight_popularity: weight of popularity, > 0; a tie-breaker and a filler.
        weight_crowd: weight of popularity among what co-occurs with a single item liked, > 0; with
            n items, divided by the square of n. Where little is known, most neighbours are chance.
        weight_query: weight of a free text's meaning, > 0; its words count half of it.
    """

    depth: int = 100
    content_limit: int = 300
    weight_neighbours: float = 1.0
    weight_content: float = 0.02
    weight_popularity: float = 0.002
    weight_crowd: float = 1.0
    weight_query: float = 10.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What candidates are gathered for.

    Args:
        liked: items that the user's behaviour speaks for, newest first; may be empty.
        disliked: items that it speaks against; others who have them repel what they have.
        profile: mean of the user's memories, shape (dim,), unit norm; None without any.
        said: what the user's notes say, those against something left out.
        text: what is looked for, in words; None for nothing in particular.
        meaning: embedding of the text, shape (dim,), unit norm; None without one.
        in_sitting: whether the newest of what is liked has only just happened. What people turn to
            next is of use then; of somebody who comes back later it says nothing.
    """

    liked: Sequence[ItemId] = ()
    disliked: Sequence[ItemId] = ()
    profile: NDArray[np.float32] | None = None
    said: str = ""
    text: str | None = None
    meaning: NDArray[np.float32] | None = None
    in_sitting: bool = True

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to go by."""
        return not self.liked and self.profile is None and self.text is None


class Candidate(NamedTuple):
    """An item that may be recommended, and what speaks most for it."""

    item_id: ItemId
    source: Source


class Candidates:
    """Items that may be recommended, before ranking."""

    def __init__(self, *, neighbours: Neighbours, config: CandidateConfig) -> None:
        """Keep the source of behaviour."""
        self._neighbours = neighbours
        self._config = config

    def edition(self) -> int:
        """Return a number that rises with all that a list of candidates must not outlive."""
        return self._neighbours.edition()

    def gather(self, wish: Wish, rules: Rules, *, top_n: int) -> list[Candidate]:
        """Return up to ``top_n`` items that the rules allow, best first.

        Each source ranks all items and gives those that the rules allow, with the places they
        have among all: so a filter takes items away and changes no order.

        Raises:
            DependencyUnavailableError: the vectors of the catalogue cannot be read.
        """
        fused: dict[ItemId, float] = defaultdict(float)
        strongest: dict[ItemId, tuple[float, Source]] = {}
        depth = max(self._config.depth, top_n)
        for source, weight, ranking in self._rankings(wish, rules, depth=depth):
            for item_id, share in reciprocal_ranks(ranking, weight=weight).items():
                fused[item_id] += share
                strongest[item_id] = max(strongest.get(item_id, (0.0, source)), (share, source))
        self._adjust(fused, rules)
        best = nsmallest(top_n, ((-score, item_id) for item_id, score in fused.items()))
        return [Candidate(item_id, strongest[item_id][1]) for _, item_id in best]

    def _rankings(
        self, wish: Wish, rules: Rules, *, depth: int
    ) -> list[tuple[Source, float, Sequence[Scored]]]:
        config, hidden, among = self._config, rules.hidden, rules.matching
        if wish.disliked:
            hidden |= self._neighbours.repelled(liked=wish.liked, disliked=wish.disliked)
        found: list[tuple[Source, float, Sequence[Scored]]] = []
        near = frozenset[ItemId]()
        if not len(among):
            return found
        if wish.liked:
            behaviour = self._neighbours.recommend(
                wish.liked, top_n=depth, exclude=hidden, among=among, in_sitting=wish.in_sitting
            )
            # A score of 0 or less is no evidence for an item, however the list goes on.
            kept = [one for one in behaviour if one.score > 0]
            found.append((Source.BEHAVIOUR, config.weight_neighbours, kept))
            near = frozenset(one.item_id for one in kept)
        found += self._told(wish, rules, hidden=hidden, depth=depth)
        if rules.fill or wish.is_blank:
            popular = self._neighbours.popular(top_n=depth, exclude=hidden, among=among)
            found.append((Source.POPULAR, config.weight_popularity, popular))
            if near and wish.text is None:
                agreed = [one for one in popular if one.item_id in near]
                found.append((Source.POPULAR, config.weight_crowd / len(wish.liked) ** 2, agreed))
        return found

    def _told(
        self, wish: Wish, rules: Rules, *, hidden: frozenset[ItemId], depth: int
    ) -> Iterator[tuple[Source, float, Sequence[Scored]]]:
        """Yield what texts are near to, and what shares most words: memories, notes, a query."""
        config, catalogue, among = self._config, rules.catalogue, rules.matching
        limit = min(depth + len(hidden), config.content_limit)
        profile = wish.profile
        if profile is not None and len(catalogue.common) == len(profile):
            profile = telling(profile, catalogue.common)
        for meaning, words, weight, top_n, most in (
            (profile, wish.said, config.weight_content, depth, limit),
            (wish.meaning, wish.text, config.weight_query, _QUERY_DEPTH, _QUERY_DEPTH),
        ):
            if meaning is not None:
                near = catalogue.nearest(
                    meaning, top_n=top_n, exclude=hidden, among=among, depth=most
                )
                yield Source.CONTENT, weight, near
            if words:
                wordy = catalogue.wordy(words, top_n=top_n, exclude=hidden, among=among)
                yield Source.CONTENT, _WORDS * weight, wordy

    @staticmethod
    def _adjust(fused: dict[ItemId, float], rules: Rules) -> None:
        """Let boosted items count more and those that were shown lately less."""
        rows = rules.catalogue.rows
        for mask, by in rules.boosts:
            for item_id in fused:
                if mask[rows[item_id]]:
                    fused[item_id] *= by
        for item_id in rules.shown:
            if item_id in fused:
                fused[item_id] *= _SHOWN_LATELY


def repelled_by_content(
    item_ids: Sequence[ItemId], wish: Wish, catalogue: CatalogueSnapshot
) -> set[ItemId]:
    """Return those that say nearly what something disliked says; of what has vectors."""
    if not wish.disliked:
        return set()
    _, against = catalogue.matrix(wish.disliked)
    told, candidates = catalogue.matrix(item_ids)
    _, praised = catalogue.matrix(wish.liked)
    if not told or not len(against):
        return set()
    liked = praised if len(praised) else candidates[:0]
    is_repelled = repelled(candidates, liked=liked, disliked=against)
    return {one for one, is_out in zip(told, is_repelled.tolist(), strict=True) if is_out}
