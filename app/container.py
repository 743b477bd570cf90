"""Everything the entry points may call, put together by ``app.bootstrap``."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.identity import Identity
from app.ports.clock import Clock
from app.services.audit import AuditService
from app.services.audit_check import AuditCheckService
from app.services.audit_export import AuditExportService
from app.services.catalogue import CatalogueService
from app.services.checkpoints import CheckpointService
from app.services.collect import ResidueSearch
from app.services.erase import EraseService
from app.services.feed import FeedService
from app.services.forget import ForgetService
from app.services.health import HealthService
from app.services.ingest import IngestService
from app.services.item_clusters import ItemClusters
from app.services.keys import KeyService
from app.services.load import LoadService
from app.services.operations import OperationsService
from app.services.overview import OverviewService
from app.services.recommend import RecommendService
from app.services.resolve import ScopeResolver
from app.services.suppressions import SuppressionService
from app.services.sweep import SweepService


@dataclass(frozen=True, slots=True)
class Container:
    """The use cases of one process."""

    identity: Identity
    clock: Clock
    recommend: RecommendService
    ingest: IngestService
    catalogue: CatalogueService
    load: LoadService
    resolver: ScopeResolver
    suppressions: SuppressionService
    forget: ForgetService
    checkpoints: CheckpointService
    audit_check: AuditCheckService
    audit_export: AuditExportService
    keys: KeyService
    search: ResidueSearch
    erase: EraseService
    sweep: SweepService
    feed: FeedService
    clusters: ItemClusters
    audit: AuditService
    operations: OperationsService
    overview: OverviewService
    health: HealthService
