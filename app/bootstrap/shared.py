"""Services that several flows are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from app.bootstrap.adapters import Adapters
from app.bootstrap.audit import Papers, papers_of, search_of
from app.services.catalogue.clusters import ItemClusters
from app.services.catalogue.held_catalogue import HeldCatalogue
from app.services.catalogue.service import CatalogueService
from app.services.catalogue.topic_matching import Topics
from app.services.concurrency import EMBEDDED, WITH_SERVERS, Departures, Turns
from app.services.erasure.residue_search import ResidueSearch
from app.services.erasure.scope_resolution import ScopeResolver
from app.services.ingestion.service import IngestConfig, IngestService, UnknownItems
from app.services.recommendation.neighbour_sync import FeedConfig, FeedService


@dataclass(frozen=True, slots=True)
class SharedServices:
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
        """Build them over ``adapters``."""
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
