"""The flow of a recommendation."""

from __future__ import annotations

from app.bootstrap.adapters import Adapters
from app.bootstrap.shared import SharedServices
from app.services.catalogue.snapshot import Shelf
from app.services.recommendation.candidates import CandidateConfig, Candidates
from app.services.recommendation.explanations import ExplainConfig, Explaining
from app.services.recommendation.memory_selection import Recall, RecallConfig
from app.services.recommendation.pipeline import PersonaliseConfig, Personaliser
from app.services.recommendation.reranking import Ranking, RankingConfig
from app.services.recommendation.service import RecommendService, Traffic


def recommend_of(adapters: Adapters, shared: SharedServices) -> RecommendService:
    """Return what answers ``GET /recommend/{user}``."""
    llm = adapters.settings.llm
    candidates = Candidates(
        neighbours=adapters.neighbours, catalogue=shared.index, config=CandidateConfig()
    )
    explaining = Explaining(
        explainer=adapters.explainer,
        identity=adapters.identity,
        turns=shared.turns,
        config=ExplainConfig(items=llm.explain_items, timeout_s=llm.explain_timeout_s),
    )
    return RecommendService(
        uows=adapters.uows,
        feed=shared.feed,
        personaliser=_personaliser(adapters, shared, candidates),
        explaining=explaining,
        candidates=candidates,
        topics=shared.topics,
        traffic=Traffic(shared.turns, shared.departures),
        clock=adapters.clock,
    )


def _personaliser(
    adapters: Adapters, shared: SharedServices, candidates: Candidates
) -> Personaliser:
    llm = adapters.settings.llm
    ranking = Ranking(
        ranker=adapters.ranker,
        cache=adapters.cache,
        answers=adapters.llm_answers,
        identity=adapters.identity,
        turns=shared.turns,
        config=RankingConfig(weight=llm.weight, timeout_s=llm.timeout_s, cache_ttl_s=llm.ttl_s),
    )
    recall = Recall(
        memory=adapters.memory,
        clusters=shared.clusters,
        ranking=ranking,
        config=RecallConfig(memory_tokens=llm.memory_tokens),
    )
    return Personaliser(
        recall=recall,
        shelf=Shelf(uows=adapters.uows, catalogue=shared.index),
        candidates=candidates,
        ranking=ranking,
        topics=shared.topics,
        clock=adapters.clock,
        config=PersonaliseConfig(window=llm.candidates),
    )
