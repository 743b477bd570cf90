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
from app.services.held_catalogue import HeldCatalogue
from app.services.ingest import IngestService
from app.services.item_clusters import ItemClusters
from app.services.keys import KeyService
from app.services.load import LoadService
from app.services.operations import OperationsService
from app.services.overview import OverviewService
from app.services.prove import ProveService
from app.services.recommend import RecommendService
from app.services.reconcile import ReconcileService
from app.services.reindex import ReindexService
from app.services.resolve import ScopeResolver
from app.services.restore import RestoreService
from app.services.rights import RightsService
from app.services.suppressions import SuppressionService
from app.services.sweep import SweepService
from app.services.watch import WatchService


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
    rights: RightsService
    suppressions: SuppressionService
    forget: ForgetService
    checkpoints: CheckpointService
    audit_check: AuditCheckService
    reconcile: ReconcileService
    audit_export: AuditExportService
    keys: KeyService
    search: ResidueSearch
    prove: ProveService
    erase: EraseService
    sweep: SweepService
    feed: FeedService
    clusters: ItemClusters
    held_catalogue: HeldCatalogue
    audit: AuditService
    operations: OperationsService
    overview: OverviewService
    health: HealthService
    restore: RestoreService
    reindex: ReindexService
    watch: WatchService
