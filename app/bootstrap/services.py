"""The use cases over the adapters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from app.adapters.signing import is_signed
from app.bootstrap.adapters import Adapters, limits_of
from app.bootstrap.faults import stopping_at
from app.container import Container
from app.services.audit import AuditService
from app.services.audit_check import AuditCheckService
from app.services.audit_export import AuditExportService
from app.services.candidates import CandidateConfig, Candidates
from app.services.catalogue import CatalogueService
from app.services.certification import Certification
from app.services.checkpoints import CheckpointService
from app.services.collect import Canary, Collector, ResidueSearch
from app.services.departures import Departures
from app.services.erase import EraseService
from app.services.erasure_leases import EraseConfig
from app.services.erasure_steps import ErasureSteps, StepsConfig
from app.services.feed import FeedConfig, FeedService
from app.services.forget import ForgetService
from app.services.health import HealthService
from app.services.ingest import IngestConfig, IngestService, UnknownItems
from app.services.item_clusters import ItemClusters
from app.services.keys import KeyService
from app.services.load import LoadService
from app.services.operations import OperationsService
from app.services.overview import OverviewService
from app.services.personalise import PersonaliseConfig, Personaliser
from app.services.ranking import Ranking, RankingConfig
from app.services.recall import Recall, RecallConfig
from app.services.recommend import RecommendService
from app.services.resolve import ScopeResolver
from app.services.restore import RestoreService, RestoreStores
from app.services.shelf import Shelf
from app.services.suppressions import SuppressionService
from app.services.sweep import SweepService
from app.services.topics import Topics


def container_of(adapters: Adapters) -> Container:
    """Return the use cases over ``adapters``."""
    uows, clock, identity = adapters.uows, adapters.clock, adapters.identity
    parts = _Parts.over(adapters)
    ingest, catalogue, papers = parts.ingest, parts.catalogue, parts.papers
    erase = _erase(adapters, papers, parts.search)
    forget = _forget(adapters, parts)
    restore = _restore(adapters, parts, forget)
    return Container(
        identity=identity,
        clock=clock,
        recommend=_recommend(adapters, parts),
        ingest=ingest,
        catalogue=catalogue,
        load=LoadService(
            uows=uows, catalogue=catalogue, ingest=ingest, identity=identity, clock=clock
        ),
        resolver=parts.resolver,
        suppressions=SuppressionService(uows=uows),
        forget=forget,
        restore=restore,
        checkpoints=papers.checkpoints,
        audit_check=AuditCheckService(uows=uows, signer=adapters.signer, is_signed=is_signed),
        audit_export=AuditExportService(uows=uows, clock=clock),
        keys=KeyService(uows=uows, signer=adapters.signer, clock=clock),
        search=parts.search,
        erase=erase,
        sweep=_sweep(adapters, parts, erase),
        feed=parts.feed,
        clusters=parts.clusters,
        audit=AuditService(uows=uows, clock=clock),
        operations=OperationsService(
            uows=uows, queue=adapters.queue, ledger=adapters.ledger, clock=clock
        ),
        overview=OverviewService(
            uows=uows, checkpoints=papers.checkpoints, signer=adapters.signer, clock=clock
        ),
        health=_health(adapters, restore),
    )


def _health(adapters: Adapters, restore: RestoreService) -> HealthService:
    forget = adapters.settings.forget
    silent_after_s = None if adapters.inline else max(forget.take_over_s, 3 * forget.sweep_s)
    return HealthService(
        uows=adapters.uows,
        memory=adapters.memory,
        ranker=adapters.ranker,
        restore=restore,
        clock=adapters.clock,
        workers_silent_after_s=silent_after_s,
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """Services that others are made of."""

    topics: Topics
    clusters: ItemClusters
    resolver: ScopeResolver
    feed: FeedService
    catalogue: CatalogueService
    ingest: IngestService
    papers: _Papers
    search: ResidueSearch
    departures: Departures

    @classmethod
    def over(cls, adapters: Adapters) -> Self:
        uows, clock, settings = adapters.uows, adapters.clock, adapters.settings
        embedder, index = adapters.embedder, adapters.catalogue_index
        topics = Topics(embedder=embedder, memory=adapters.memory, catalogue=index)
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
            topics=topics,
            clusters=ItemClusters(uows=uows, index=index, fixed=adapters.diversity),
            resolver=ScopeResolver(uows=uows, topics=topics),
            feed=feed,
            catalogue=CatalogueService(uows=uows, index=index, embedder=embedder, clock=clock),
            ingest=ingest,
            papers=_papers(adapters),
            search=_search(adapters, ingest),
            departures=Departures(),
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
        neighbours=adapters.neighbours, catalogue=adapters.catalogue_index, config=CandidateConfig()
    )
    ranking = Ranking(
        ranker=adapters.ranker,
        cache=adapters.cache,
        identity=adapters.identity,
        config=RankingConfig(weight=llm.weight, timeout_s=llm.timeout_s, cache_ttl_s=llm.ttl_s),
    )
    personaliser = Personaliser(
        recall=Recall(
            memory=adapters.memory,
            clusters=parts.clusters,
            ranking=ranking,
            config=RecallConfig(memory_tokens=llm.memory_tokens),
        ),
        shelf=Shelf(uows=adapters.uows, catalogue=adapters.catalogue_index),
        candidates=candidates,
        ranking=ranking,
        topics=parts.topics,
        clock=adapters.clock,
        config=PersonaliseConfig(window=llm.window),
    )
    return RecommendService(
        uows=adapters.uows,
        feed=parts.feed,
        personaliser=personaliser,
        candidates=candidates,
        topics=parts.topics,
        departures=parts.departures,
        clock=adapters.clock,
    )


@dataclass(frozen=True, slots=True)
class _Papers:
    """What signs."""

    checkpoints: CheckpointService
    certification: Certification


def _papers(adapters: Adapters) -> _Papers:
    origin = adapters.settings.audit.origin
    checkpoints = CheckpointService(
        uows=adapters.uows,
        signer=adapters.signer,
        clock=adapters.clock,
        origin=origin,
        is_signed=is_signed,
    )
    certification = Certification(
        uows=adapters.uows,
        checkpoints=checkpoints,
        cipher=adapters.cipher,
        vault=adapters.vault,
        identity=adapters.identity,
        clock=adapters.clock,
        origin=origin,
        limits=limits_of(adapters.settings),
    )
    return _Papers(checkpoints, certification)


def _search(adapters: Adapters, ingest: IngestService) -> ResidueSearch:
    collector = Collector(
        uows=adapters.uows, memory=adapters.memory, cache=adapters.cache, vault=adapters.vault
    )
    canary = Canary(
        uows=adapters.uows,
        ingest=ingest,
        collector=collector,
        identity=adapters.identity,
        clock=adapters.clock,
    )
    return ResidueSearch(collector=collector, canary=canary, probe=adapters.probe)


def _erase(adapters: Adapters, papers: _Papers, search: ResidueSearch) -> EraseService:
    forget = adapters.settings.forget
    return EraseService(
        uows=adapters.uows,
        steps=ErasureSteps(
            uows=adapters.uows,
            memory=adapters.memory,
            cache=adapters.cache,
            vault=adapters.vault,
            search=search,
            certification=papers.certification,
            clock=adapters.clock,
            config=StepsConfig(),
        ),
        certification=papers.certification,
        ledger=adapters.ledger,
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
