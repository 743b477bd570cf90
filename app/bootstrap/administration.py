"""What people ask for besides recommendation and erasure, and what administrators do."""

from __future__ import annotations

from app.bootstrap.adapters import Adapters
from app.services.administration.dashboard import DashboardService
from app.services.administration.erasure_requests import ErasureRequestAdmin
from app.services.administration.proof import ProofService
from app.services.administration.webhooks import WebhookConfig, WebhookService
from app.services.audit.checkpoints import CheckpointService
from app.services.concurrency import InFlightAnswers
from app.services.data_subjects.rights import RightsService
from app.services.erasure.residue_search import ResidueSearch
from app.services.recommendation.neighbour_sync import NeighbourSync
from app.services.recommendation.service import RecommendService


def rights_of(adapters: Adapters, *, in_flight: InFlightAnswers) -> RightsService:
    """Return what answers ``/users/{user}/export``, ``…/restriction`` and ``…/objection``."""
    return RightsService(
        uows=adapters.uows,
        memory=adapters.memory,
        in_flight=in_flight,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def prove_of(
    adapters: Adapters, *, recommend: RecommendService, feed: NeighbourSync, search: ResidueSearch
) -> ProofService:
    """Return what answers ``POST /admin/prove``."""
    return ProofService(
        uows=adapters.uows,
        recommend=recommend,
        feed=feed,
        search=search,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def operations_of(adapters: Adapters) -> ErasureRequestAdmin:
    """Return what retries, holds, releases, rejects and extends requests."""
    return ErasureRequestAdmin(
        uows=adapters.uows,
        queue=adapters.queue,
        ledger=adapters.ledger,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def webhooks_of(adapters: Adapters) -> WebhookService:
    """Return what tells registered addresses of each change of a request's state."""
    told = adapters.settings.webhooks
    return WebhookService(
        uows=adapters.uows,
        sender=adapters.webhook_sender,
        clock=adapters.clock,
        config=WebhookConfig(
            urls=told.urls,
            secret=told.secret.get_secret_value().encode() if told.secret else b"",
            base_url=adapters.settings.api.public_url,
        ),
    )


def overview_of(adapters: Adapters, *, checkpoints: CheckpointService) -> DashboardService:
    """Return what the console shows of many requests at once."""
    return DashboardService(
        uows=adapters.uows, checkpoints=checkpoints, signer=adapters.signer, clock=adapters.clock
    )
