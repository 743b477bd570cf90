"""The use cases over the adapters."""

from __future__ import annotations

from dataclasses import dataclass

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
from app.services.erase import EraseConfig, EraseService
from app.services.erasure_steps import ErasureSteps, StepsConfig
from app.services.feed import FeedConfig, FeedService
from app.services.forget import ForgetService
from app.services.health import HealthService
from app.services.ingest import IngestConfig, IngestService, UnknownItems
from app.services.load import LoadService
from app.services.operations import OperationsService
from app.services.overview import OverviewService
from app.services.personalise import PersonaliseConfig, Personaliser
from app.services.ranking import Ranking, RankingConfig
from app.services.recommend import RecommendService
from app.services.resolve import ScopeResolver
from app.services.suppressions import SuppressionService
from app.services.sweep import SweepService
from app.services.topics import Topics


def container_of(adapters: Adapters) -> Container:
    """Return the use cases over ``adapters``."""
    uows, clock = adapters.uows, adapters.clock
    topics = Topics(
        embedder=adapters.embedder, memory=adapters.memory, catalogue=adapters.catalogue_index
    )
    resolver = ScopeResolver(uows=uows, topics=topics)
    feed = FeedService(
        uows=uows,
        neighbours=adapters.neighbours,
        clock=clock,
        config=FeedConfig(
            process_id=adapters.process_id, lease_s=adapters.settings.forget.process_lease_s
        ),
    )
    catalogue = CatalogueService(
        uows=uows, index=adapters.catalogue_index, embedder=adapters.embedder, clock=clock
    )
    ingest = IngestService(
        uows=uows,
        memory=adapters.memory,
        embedder=adapters.embedder,
        topics=topics,
        identity=adapters.identity,
        clock=clock,
        config=IngestConfig(unknown_items=UnknownItems(adapters.settings.unknown_items)),
    )
    papers = _papers(adapters)
    erase = _erase(adapters, papers, ingest)
    return Container(
        identity=adapters.identity,
        clock=clock,
        recommend=_recommend(adapters, feed, topics),
        ingest=ingest,
        catalogue=catalogue,
        load=LoadService(
            uows=uows,
            catalogue=catalogue,
            ingest=ingest,
            identity=adapters.identity,
            clock=clock,
        ),
        resolver=resolver,
        suppressions=SuppressionService(uows=uows),
        forget=ForgetService(
            uows=uows,
            resolver=resolver,
            queue=adapters.queue,
            certification=papers.certification,
            identity=adapters.identity,
            clock=clock,
        ),
        checkpoints=papers.checkpoints,
        audit_check=AuditCheckService(uows=uows, signer=adapters.signer, is_signed=is_signed),
        audit_export=AuditExportService(uows=uows, clock=clock),
        erase=erase,
        sweep=SweepService(
            uows=uows,
            queue=adapters.queue,
            erase=erase,
            ingest=ingest,
            catalogue=catalogue,
            clock=clock,
        ),
        feed=feed,
        audit=AuditService(uows=uows, clock=clock),
        operations=OperationsService(uows=uows, queue=adapters.queue, clock=clock),
        overview=OverviewService(
            uows=uows, checkpoints=papers.checkpoints, signer=adapters.signer, clock=clock
        ),
        health=HealthService(
            uows=uows, memory=adapters.memory, ranker=adapters.ranker, clock=clock
        ),
    )


def _recommend(adapters: Adapters, feed: FeedService, topics: Topics) -> RecommendService:
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
        uows=adapters.uows,
        memory=adapters.memory,
        catalogue=adapters.catalogue_index,
        candidates=candidates,
        ranking=ranking,
        topics=topics,
        clock=adapters.clock,
        config=PersonaliseConfig(window=llm.window),
    )
    return RecommendService(
        uows=adapters.uows,
        feed=feed,
        personaliser=personaliser,
        candidates=candidates,
        topics=topics,
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


def _erase(adapters: Adapters, papers: _Papers, ingest: IngestService) -> EraseService:
    forget = adapters.settings.forget
    collector = Collector(
        uows=adapters.uows, memory=adapters.memory, cache=adapters.cache, vault=adapters.vault
    )
    return EraseService(
        uows=adapters.uows,
        steps=ErasureSteps(
            uows=adapters.uows,
            memory=adapters.memory,
            cache=adapters.cache,
            vault=adapters.vault,
            search=ResidueSearch(
                collector=collector,
                canary=Canary(
                    uows=adapters.uows,
                    ingest=ingest,
                    collector=collector,
                    identity=adapters.identity,
                    clock=adapters.clock,
                ),
                probe=adapters.probe,
            ),
            certification=papers.certification,
            clock=adapters.clock,
            config=StepsConfig(),
        ),
        certification=papers.certification,
        clock=adapters.clock,
        owner=adapters.process_id,
        config=EraseConfig(
            lease_s=forget.lease_s,
            heartbeat_s=forget.heartbeat_s,
            max_attempts=forget.max_attempts,
            backoff_s=forget.backoff_s,
        ),
        on_point=stopping_at(forget.stop_at),
    )
