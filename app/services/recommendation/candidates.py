"""Gathering candidates: neighbours, content and popularity, fused."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId, Scored
from app.domain.recommendation.fusion import reciprocal_rank_fusion
from app.ports.neighbours import Neighbours
from app.services.catalogue.snapshot import CatalogueSnapshot


@dataclass(frozen=True, slots=True)
class CandidateConfig:
    """How many candidates each source gives, and how much its ranks count.

    Args:
        depth: items taken from each source, >= 1.
        content_limit: most items asked of the catalogue index (it answers slower the more).
        weight_neighbours: weight of co-occurrence in the fusion, > 0.
        weight_content: weight of content search, > 0.
        weight_popularity: weight of popularity, > 0; a tie-breaker and a filler.
    """

    depth: int = 100
    content_limit: int = 300
    weight_neighbours: float = 1.0
    weight_content: float = 0.1
    weight_popularity: float = 0.01


class Candidates:
    """Items that may be recommended, before ranking."""

    def __init__(self, *, neighbours: Neighbours, config: CandidateConfig) -> None:
        """Keep the source of behaviour."""
        self._neighbours = neighbours
        self._config = config

    def gather(
        self,
        *,
        catalogue: CatalogueSnapshot,
        evidence: Sequence[ItemId],
        disliked: Sequence[ItemId] = (),
        profile: NDArray[np.float32] | None,
        exclude: Collection[ItemId],
        top_n: int,
    ) -> list[Scored]:
        """Return up to ``top_n`` items by fused rank, none of ``exclude``.

        Args:
            catalogue: where what is near is looked for.
            evidence: what the user likes, newest first.
            disliked: what the user dislikes; others who have it repel what they have.
            profile: mean of the user's memories, shape (dim,), unit norm; None without any.
            exclude: items seen before, or not wanted by the caller.
            top_n: how many, >= 1.
        """
        config, depth = self._config, max(self._config.depth, top_n)
        if disliked:
            repelled = self._neighbours.repelled(liked=evidence, disliked=disliked)
            exclude = {*exclude, *repelled}
        neighbours = self._neighbours.recommend(evidence, top_n=depth, exclude=exclude)
        content = self._content(catalogue, profile, exclude=exclude, depth=depth)
        popular = self._neighbours.popular(top_n=depth, exclude=exclude)
        rankings = [
            # A score of 0 or less is no evidence for an item, however the list goes on.
            (config.weight_neighbours, [one.item_id for one in neighbours if one.score > 0]),
            (config.weight_content, [one.item_id for one in content]),
            (config.weight_popularity, [one.item_id for one in popular]),
        ]
        return reciprocal_rank_fusion(rankings, top_n=top_n)

    def _content(
        self,
        catalogue: CatalogueSnapshot,
        profile: NDArray[np.float32] | None,
        *,
        exclude: Collection[ItemId],
        depth: int,
    ) -> list[Scored]:
        if profile is None:
            return []
        # The index knows nothing of the user, so what was seen is over-fetched and dropped.
        wanted = min(depth + len(exclude), self._config.content_limit)
        found = catalogue.nearest(profile, top_n=wanted)
        return [one for one in found if one.item_id not in exclude][:depth]

    def popular(self, *, exclude: Collection[ItemId], top_n: int) -> list[Scored]:
        """Return the list of someone the service knows nothing about."""
        return self._neighbours.popular(top_n=top_n, exclude=exclude)
