"""Everything the entry points may call, put together by ``app.bootstrap``."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.certificates.statement import Deployment
from app.domain.privacy.pseudonyms import Identity
from app.ports.clock import Clock
from app.services.administration.access import AccessService
from app.services.administration.dashboard import DashboardService
from app.services.administration.erasure_requests import ErasureRequestAdmin
from app.services.administration.health import HealthService
from app.services.administration.proof import ProofService
from app.services.administration.request_lists import RequestLists
from app.services.administration.webhooks import WebhookService
from app.services.audit.checkpoints import CheckpointService
from app.services.audit.integrity_check import AuditCheckService
from app.services.audit.log import AuditService
from app.services.audit.reconciliation import ReconcileService
from app.services.audit.succession import SuccessionService
from app.services.audit.witnessing import WitnessService
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.service import CatalogueService
from app.services.data_subjects.rights import RightsService
from app.services.erasure.item_removal import ItemRemovalService
from app.services.erasure.rechecks import RecheckService
from app.services.erasure.requests import ForgetService
from app.services.erasure.residue_search import ResidueSearch
from app.services.erasure.restore_guard import RestoreService
from app.services.erasure.retention import RetentionService
from app.services.erasure.scope_resolution import ScopeResolver
from app.services.erasure.sweeper import SweepService
from app.services.erasure.worker import EraseService
from app.services.ingestion.dataset_loader import LoadService
from app.services.ingestion.service import IngestService
from app.services.recommendation.calibration import Calibration
from app.services.recommendation.lists import ListService
from app.services.recommendation.neighbour_sync import NeighbourSync
from app.services.recommendation.reading_check import ReadingCheck
from app.services.recommendation.service import RecommendService


@dataclass(frozen=True, slots=True)
class Container:
    """The use cases of one process."""

    about: Deployment
    identity: Identity
    clock: Clock
    access: AccessService
    recommend: RecommendService
    lists: ListService
    ingest: IngestService
    catalogue: CatalogueService
    load: LoadService
    resolver: ScopeResolver
    rights: RightsService
    forget: ForgetService
    checkpoints: CheckpointService
    succession: SuccessionService
    witnessing: WitnessService
    audit_check: AuditCheckService
    reconcile: ReconcileService
    search: ResidueSearch
    prove: ProofService
    erase: EraseService
    sweep: SweepService
    feed: NeighbourSync
    current: CurrentCatalogue
    audit: AuditService
    operations: ErasureRequestAdmin
    request_lists: RequestLists
    overview: DashboardService
    health: HealthService
    removal: ItemRemovalService
    reading: ReadingCheck
    calibration: Calibration
    restore: RestoreService
    retention: RetentionService
    webhooks: WebhookService
    rechecks: RecheckService
