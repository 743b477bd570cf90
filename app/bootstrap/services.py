"""The use cases over the adapters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from app.adapters.system.signing import is_signed
from app.bootstrap.adapters import Adapters
from app.bootstrap.administration import operations_of, overview_of, prove_of, rights_of
from app.bootstrap.audit import Papers, papers_of, search_of
from app.bootstrap.fault_injection import stopping_at
from app.container import Container
from app.services.administration.health import HealthService
from app.services.administration.reindex import ReindexService
from app.services.audit.export import AuditExportService
from app.services.audit.integrity_check import AuditCheckService
from app.services.audit.log import AuditService
from app.services.audit.reconciliation import ReconcileService
from app.services.audit.signing_keys import KeyService
from app.services.catalogue.clusters import ItemClusters
from app.services.catalogue.held_catalogue import HeldCatalogue
from app.services.catalogue.service import CatalogueService
from app.services.catalogue.snapshot import Shelf
from app.services.catalogue.topic_matching import Topics
from app.services.concurrency import EMBEDDED, WITH_SERVERS, Turns
from app.services.data_subjects.topic_suppressions import SuppressionService
from app.services.departures import Departures
from app.services.erasure.leases import EraseConfig
from app.services.erasure.rechecks import WatchService
from app.services.erasure.requests import ForgetService
from app.services.erasure.residue_search import ResidueSearch
from app.services.erasure.restore_guard import RestoreService, RestoreStores
from app.services.erasure.scope_resolution import ScopeResolver
from app.services.erasure.steps import ErasureSteps, StepsConfig
from app.services.erasure.sweeper import SweepService
from app.services.erasure.worker import EraseService
from app.services.ingestion.dataset_loader import LoadService
from app.services.ingestion.service import IngestConfig, IngestService, UnknownItems
from app.services.recommendation.candidates import CandidateConfig, Candidates
from app.services.recommendation.explanations import ExplainConfig, Explaining
from app.services.recommendation.memory_selection import Recall, RecallConfig
from app.services.recommendation.neighbour_sync import FeedConfig, FeedService
from app.services.recommendation.pipeline import PersonaliseConfig, Personaliser
from app.services.recommendation.reranking import Ranking, RankingConfig
from app.services.recommendation.service import RecommendService, Traffic


def container_of(adapters: Adapters) -> Container:
    """Return the use cases over ``adapters``."""
    uows, clock = adapters.uows, adapters.clock
    parts = _Parts.over(adapters)
    papers = parts.papers
    watch = _watch(adapters, parts)
    erase = _erase(adapters, parts, watch)
    forget = _forget(adapters, parts)
    restore = _restore(adapters, parts, forget)
    recommend = _recommend(adapters, parts)
    return Container(
        identity=adapters.identity,
        clock=clock,
        recommend=recommend,
        ingest=parts.ingest,
        catalogue=parts.catalogue,
        load=_load(adapters, parts),
        resolver=parts.resolver,
        suppressions=SuppressionService(uows=uows),
        rights=rights_of(adapters, departures=parts.departures),
        forget=forget,
        restore=restore,
        reindex=ReindexService(memory=adapters.memory, restore=restore),
        watch=watch,
        checkpoints=papers.checkpoints,
        audit_check=AuditCheckService(uows=uows, signer=adapters.signer, is_signed=is_signed),
        reconcile=ReconcileService(uows=uows),
        audit_export=AuditExportService(uows=uows, clock=clock),
        keys=KeyService(uows=uows, signer=adapters.signer, clock=clock),
        search=parts.search,
        prove=prove_of(adapters, recommend=recommend, feed=parts.feed, search=parts.search),
        erase=erase,
        sweep=_sweep(adapters, parts, erase),
        feed=parts.feed,
        clusters=parts.clusters,
        held_catalogue=parts.index,
        audit=AuditService(uows=uows, clock=clock),
        operations=operations_of(adapters),
        overview=overview_of(adapters, checkpoints=papers.checkpoints),
        health=_health(adapters, restore),
    )


def _load(adapters: Adapters, parts: _Parts) -> LoadService:
    return LoadService(
        uows=adapters.uows,
        catalogue=parts.catalogue,
        ingest=parts.ingest,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def _health(adapters: Adapters, restore: RestoreService) -> HealthService:
    forget = adapters.settings.forget
    silent_after_s = None if adapters.inline else max(forget.take_over_s, 3 * forget.sweep_s)
    return HealthService(
        uows=adapters.uows,
        memory=adapters.memory,
        ranker=adapters.ranker,
        restore=restore,
        breakers=adapters.llm.ranker.breakers if adapters.llm else dict,
        clock=adapters.clock,
        workers_silent_after_s=silent_after_s,
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """Services that others are made of."""

    index: HeldCatalogue
    topics: Topics
    clusters: ItemClusters
    resolver: ScopeResolver
    feed: FeedService
    catalogue: CatalogueService
    ingest: IngestService
    papers: Papers
    search: ResidueSearch
    departures: Departures
    turns: Turns

    @classmethod
    def over(cls, adapters: Adapters) -> Self:
        uows, clock, settings = adapters.uows, adapters.clock, adapters.settings
        usual = EMBEDDED if settings.chroma.url is None else WITH_SERVERS
        embedder = adapters.embedder
        index = HeldCatalogue(uows=uows, index=adapters.catalogue_index)
        topics = Topics(uows=uows, embedder=embedder, memory=adapters.memory, catalogue=index)
        lease_s = settings.forget.process_lease_s
        feed = FeedService(
            uows=uows,
            neighbours=adapters.neighbours,
            clock=clock,
            config=FeedConfig(process_id=adapters.process_id, lease_s=lease_s),
        )
        ingest = IngestService(
            uows=uows,
            memory=adapters.memory,
            embedder=embedder,
            topics=topics,
            identity=adapters.identity,
            clock=clock,
            config=IngestConfig(unknown_items=UnknownItems(settings.unknown_items)),
        )
        return cls(
            index=index,
            topics=topics,
            clusters=ItemClusters(uows=uows, index=index, fixed=adapters.diversity),
            resolver=ScopeResolver(uows=uows, topics=topics),
            feed=feed,
            catalogue=CatalogueService(uows=uows, index=index, embedder=embedder, clock=clock),
            ingest=ingest,
            papers=papers_of(adapters),
            search=search_of(adapters, ingest),
            departures=Departures(),
            turns=Turns(settings.api.recommend_at_once or usual),
        )


def _forget(adapters: Adapters, parts: _Parts) -> ForgetService:
    return ForgetService(
        uows=adapters.uows,
        resolver=parts.resolver,
        queue=adapters.queue,
        ledger=adapters.ledger,
        certification=parts.papers.certification,
        departures=parts.departures,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def _restore(adapters: Adapters, parts: _Parts, forget: ForgetService) -> RestoreService:
    return RestoreService(
        uows=adapters.uows,
        stores=RestoreStores(adapters.memory, adapters.vault, adapters.ledger),
        forget=forget,
        ingest=parts.ingest,
        search=parts.search,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def _sweep(adapters: Adapters, parts: _Parts, erase: EraseService) -> SweepService:
    return SweepService(
        uows=adapters.uows,
        queue=adapters.queue,
        erase=erase,
        ingest=parts.ingest,
        catalogue=parts.catalogue,
        clock=adapters.clock,
    )


def _recommend(adapters: Adapters, parts: _Parts) -> RecommendService:
    llm = adapters.settings.llm
    candidates = Candidates(
        neighbours=adapters.neighbours, catalogue=parts.index, config=CandidateConfig()
    )
    explaining = Explaining(
        explainer=adapters.explainer,
        identity=adapters.identity,
        turns=parts.turns,
        config=ExplainConfig(items=llm.explain_items, timeout_s=llm.explain_timeout_s),
    )
    return RecommendService(
        uows=adapters.uows,
        feed=parts.feed,
        personaliser=_personaliser(adapters, parts, candidates),
        explaining=explaining,
        candidates=candidates,
        topics=parts.topics,
        traffic=Traffic(parts.turns, parts.departures),
        clock=adapters.clock,
    )


def _personaliser(adapters: Adapters, parts: _Parts, candidates: Candidates) -> Personaliser:
    llm = adapters.settings.llm
    ranking = Ranking(
        ranker=adapters.ranker,
        cache=adapters.cache,
        answers=adapters.llm_answers,
        identity=adapters.identity,
        turns=parts.turns,
        config=RankingConfig(weight=llm.weight, timeout_s=llm.timeout_s, cache_ttl_s=llm.ttl_s),
    )
    recall = Recall(
        memory=adapters.memory,
        clusters=parts.clusters,
        ranking=ranking,
        config=RecallConfig(memory_tokens=llm.memory_tokens),
    )
    return Personaliser(
        recall=recall,
        shelf=Shelf(uows=adapters.uows, catalogue=parts.index),
        candidates=candidates,
        ranking=ranking,
        topics=parts.topics,
        clock=adapters.clock,
        config=PersonaliseConfig(window=llm.candidates),
    )


def _watch(adapters: Adapters, parts: _Parts) -> WatchService:
    return WatchService(
        uows=adapters.uows,
        ledger=adapters.ledger,
        search=parts.search,
        clock=adapters.clock,
        after=[timedelta(days=days) for days in sorted(adapters.settings.forget.look_again_days)],
        key=adapters.identity.print_key(),
    )


def _erase(adapters: Adapters, parts: _Parts, watch: WatchService) -> EraseService:
    forget, papers = adapters.settings.forget, parts.papers
    return EraseService(
        uows=adapters.uows,
        steps=ErasureSteps(
            uows=adapters.uows,
            memory=adapters.memory,
            cache=adapters.cache,
            vault=adapters.vault,
            search=parts.search,
            certification=papers.certification,
            clock=adapters.clock,
            config=StepsConfig(),
        ),
        certification=papers.certification,
        watch=watch,
        clock=adapters.clock,
        owner=adapters.process_id,
        config=EraseConfig(
            lease_s=forget.lease_s,
            heartbeat_s=forget.heartbeat_s,
            max_attempts=forget.max_attempts,
            backoff_s=forget.backoff_s,
            batch=forget.batch,
        ),
        on_point=stopping_at(forget.stop_at),
    )
