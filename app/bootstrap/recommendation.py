"""The flow of a recommendation."""

from __future__ import annotations

from app.bootstrap.adapters import Adapters
from app.bootstrap.shared import SharedServices
from app.services.recommendation.candidates import CandidateConfig, Candidates
from app.services.recommendation.explanations import ExplanationConfig, ExplanationService
from app.services.recommendation.memory_selection import MemorySelection, MemorySelectionConfig
from app.services.recommendation.pipeline import PipelineConfig, RecommendationPipeline
from app.services.recommendation.reranking import Reranker, RerankerConfig
from app.services.recommendation.service import RecommendService, Traffic


def recommend_of(adapters: Adapters, shared: SharedServices) -> RecommendService:
    """Return what answers ``GET /recommend/{user}``."""
    llm = adapters.settings.llm
    candidates = Candidates(neighbours=adapters.neighbours, config=CandidateConfig())
    explanations = ExplanationService(
        explainer=adapters.explainer,
        identity=adapters.identity,
        limiter=shared.limiter,
        config=ExplanationConfig(items=llm.explain_items, timeout_s=llm.explain_timeout_s),
    )
    return RecommendService(
        uows=adapters.uows,
        feed=shared.feed,
        pipeline=_pipeline(adapters, shared, candidates),
        explanations=explanations,
        candidates=candidates,
        catalogue=shared.current,
        topics=shared.topics,
        traffic=Traffic(shared.limiter, shared.in_flight),
        clock=adapters.clock,
    )


def _pipeline(
    adapters: Adapters, shared: SharedServices, candidates: Candidates
) -> RecommendationPipeline:
    llm = adapters.settings.llm
    ranking = Reranker(
        ranker=adapters.ranker,
        cache=adapters.cache,
        answers=adapters.llm_answers,
        identity=adapters.identity,
        limiter=shared.limiter,
        config=RerankerConfig(weight=llm.weight, timeout_s=llm.timeout_s, cache_ttl_s=llm.ttl_s),
    )
    recall = MemorySelection(
        memory=adapters.memory,
        fixed=adapters.diversity,
        ranking=ranking,
        config=MemorySelectionConfig(memory_tokens=llm.memory_tokens),
    )
    return RecommendationPipeline(
        recall=recall,
        candidates=candidates,
        ranking=ranking,
        topics=shared.topics,
        clock=adapters.clock,
        config=PipelineConfig(window=llm.candidates, opinions=adapters.opinions),
    )
