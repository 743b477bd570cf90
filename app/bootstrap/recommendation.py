"""The flow of a recommendation."""

from __future__ import annotations

from functools import partial

from app.adapters.neighbours import ExactNeighbours
from app.bootstrap.adapters import Adapters
from app.bootstrap.shared import SharedServices
from app.ports.neighbours import Neighbours
from app.services.recommendation.calibration import Calibration
from app.services.recommendation.candidates import CandidateConfig, Candidates
from app.services.recommendation.cursor import Cursors
from app.services.recommendation.explanations import ExplanationConfig, ExplanationService
from app.services.recommendation.held_out import CalibrationParts
from app.services.recommendation.lists import ListService
from app.services.recommendation.memory_selection import MemorySelection
from app.services.recommendation.pipeline import PipelineConfig, RecommendationPipeline
from app.services.recommendation.query import Boost, Scenario
from app.services.recommendation.reading_check import ReadingCheck
from app.services.recommendation.reranking import Ranking, Reranker, RerankerConfig
from app.services.recommendation.service import RecommendService, Traffic
from app.services.recommendation.user_reader import UserReader
from app.settings import Settings


def recommend_of(adapters: Adapters, shared: SharedServices) -> RecommendService:
    """Return what answers every query for a list of somebody's own."""
    llm = adapters.settings.llm
    explanations = ExplanationService(
        explainer=adapters.explainer,
        identity=adapters.identity,
        limiter=shared.limiter,
        config=ExplanationConfig(
            items=llm.explain_items, timeout_s=llm.explain_timeout_s, language=llm.language
        ),
    )
    return RecommendService(
        uows=adapters.uows,
        users=UserReader(
            feed=shared.feed, kept=shared.kept, opinions=adapters.opinions, clock=adapters.clock
        ),
        catalogue=shared.current,
        pipeline=_pipeline(adapters, shared, _reranker(adapters, shared), adapters.neighbours),
        explanations=explanations,
        cursors=Cursors(identity=adapters.identity, clock=adapters.clock),
        traffic=Traffic(shared.limiter, shared.in_flight),
        clock=adapters.clock,
    )


def lists_of(adapters: Adapters, shared: SharedServices) -> ListService:
    """Return what answers queries for lists that are nobody's own."""
    return ListService(
        uows=adapters.uows,
        feed=shared.feed,
        catalogue=shared.current,
        neighbours=adapters.neighbours,
        limiter=shared.limiter,
        identity=adapters.identity,
        clock=adapters.clock,
        opinions=adapters.opinions,
    )


def calibration_of(adapters: Adapters, shared: SharedServices) -> Calibration:
    """Return what judges the model by what users did."""
    llm = adapters.settings.llm
    return Calibration(
        CalibrationParts(
            uows=adapters.uows,
            catalogue=shared.current,
            feed=shared.feed,
            behaviour=adapters.neighbours,
            nobody=ExactNeighbours(),
            opinions=adapters.opinions,
            pipeline=partial(_pipeline, adapters, shared),
            reading=ReadingCheck(
                uows=adapters.uows, ranker=adapters.ranker, is_wanted=llm.must_read
            ),
            has_labels=llm.mode != "likelihood",
            timeout_s=llm.timeout_s,
        )
    )


def _reranker(adapters: Adapters, shared: SharedServices) -> Reranker:
    llm = adapters.settings.llm
    return Reranker(
        ranker=adapters.ranker,
        reading=shared.reading,
        cache=adapters.cache,
        answers=adapters.llm_answers,
        identity=adapters.identity,
        limiter=shared.limiter,
        config=RerankerConfig(
            weight=llm.weight,
            query_weight=llm.query_weight,
            timeout_s=llm.timeout_s,
            cache_ttl_s=llm.ttl_s,
        ),
    )


def _pipeline(
    adapters: Adapters, shared: SharedServices, ranking: Ranking, neighbours: Neighbours
) -> RecommendationPipeline:
    llm = adapters.settings.llm
    recall = MemorySelection(
        memory=adapters.memory,
        token_costs=adapters.prompting.costs,
        token_budget=partial(adapters.prompting.memory_budget, timeout_s=llm.timeout_s),
    )
    return RecommendationPipeline(
        recall=recall,
        kept=shared.kept,
        candidates=Candidates(neighbours=neighbours, config=CandidateConfig()),
        ranking=ranking,
        topics=shared.topics,
        embedder=adapters.embedder,
        clock=adapters.clock,
        config=PipelineConfig(
            candidates=llm.candidates,
            scenarios=_scenarios(adapters.settings),
        ),
    )


def _scenarios(settings: Settings) -> dict[str, Scenario]:
    return {
        name: Scenario(
            where=one.where,
            boost=[Boost(boost.where, boost.by) for boost in one.boost],
            seen=frozenset(one.seen),
            diversity=one.diversity,
            fill=one.fill,
        )
        for name, one in settings.scenarios.items()
    }
