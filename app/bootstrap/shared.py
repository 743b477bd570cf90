"""Services that several flows are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from app.bootstrap.adapters import Adapters
from app.bootstrap.audit import AuditServices, audit_services_of, search_of
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.service import CatalogueService
from app.services.catalogue.topic_matching import TopicMatcher
from app.services.concurrency import EMBEDDED, WITH_SERVERS, ConcurrencyLimiter, InFlightAnswers
from app.services.erasure.corrections import CorrectionService
from app.services.erasure.residue_search import ResidueSearch
from app.services.erasure.scope_resolution import ScopeResolver
from app.services.ingestion.service import IngestConfig, IngestService, UnknownItems
from app.services.recommendation.kept_users import KeptUsers
from app.services.recommendation.neighbour_sync import NeighbourSync, NeighbourSyncConfig
from app.services.recommendation.reading_check import ReadingCheck


@dataclass(frozen=True, slots=True)
class SharedServices:
    """Services that others are made of."""

    current: CurrentCatalogue
    topics: TopicMatcher
    resolver: ScopeResolver
    feed: NeighbourSync
    kept: KeptUsers
    catalogue: CatalogueService
    ingest: IngestService
    audit_services: AuditServices
    search: ResidueSearch
    in_flight: InFlightAnswers
    limiter: ConcurrencyLimiter
    reading: ReadingCheck

    @classmethod
    def over(cls, adapters: Adapters) -> Self:
        """Build them over ``adapters``."""
        uows, clock, settings = adapters.uows, adapters.clock, adapters.settings
        usual = WITH_SERVERS if settings.chroma.servers else EMBEDDED
        embedder = adapters.embedder
        audit_services, in_flight = audit_services_of(adapters), InFlightAnswers()
        index = adapters.catalogue_index
        current = CurrentCatalogue(uows=uows, index=index)
        topics = TopicMatcher(embedder=embedder, memory=adapters.memory, catalogue=current)
        kept = KeptUsers()
        feed = NeighbourSync(
            uows=uows,
            neighbours=adapters.neighbours,
            kept=kept,
            topics=topics,
            clock=clock,
            config=NeighbourSyncConfig(
                process_id=adapters.process_id,
                lease_s=settings.forget.process_lease_s,
                fold_s=settings.neighbours.fold_s,
                opinions=adapters.opinions,
            ),
        )
        ingest = _ingest(adapters, topics, audit_services, in_flight)
        return cls(
            current=current,
            topics=topics,
            resolver=ScopeResolver(uows=uows, topics=topics),
            feed=feed,
            kept=kept,
            catalogue=CatalogueService(uows=uows, index=index, embedder=embedder, clock=clock),
            ingest=ingest,
            audit_services=audit_services,
            search=search_of(adapters, ingest),
            in_flight=in_flight,
            limiter=ConcurrencyLimiter(settings.api.recommend_at_once or usual),
            reading=_reading(adapters),
        )


def _ingest(
    adapters: Adapters,
    topics: TopicMatcher,
    audit_services: AuditServices,
    in_flight: InFlightAnswers,
) -> IngestService:
    return IngestService(
        uows=adapters.uows,
        memory=adapters.memory,
        embedder=adapters.embedder,
        topics=topics,
        supersede=CorrectionService(
            queue=adapters.queue,
            certificates=audit_services.certificates,
            in_flight=in_flight,
            clock=adapters.clock,
        ).supersede,
        identity=adapters.identity,
        clock=adapters.clock,
        config=IngestConfig(unknown_items=UnknownItems(adapters.settings.unknown_items)),
    )


def _reading(adapters: Adapters) -> ReadingCheck:
    llm = adapters.settings.llm
    is_wanted = llm.must_read and llm.weight > 0
    return ReadingCheck(uows=adapters.uows, ranker=adapters.ranker, is_wanted=is_wanted)
