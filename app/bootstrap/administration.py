"""What people ask for besides recommendation and erasure, and what administrators do."""

from __future__ import annotations

from app.bootstrap.adapters import Adapters
from app.services.administration.dashboard import OverviewService
from app.services.administration.erasure_requests import OperationsService
from app.services.administration.proof import ProveService
from app.services.audit.checkpoints import CheckpointService
from app.services.concurrency import Departures
from app.services.data_subjects.rights import RightsService
from app.services.erasure.residue_search import ResidueSearch
from app.services.recommendation.neighbour_sync import FeedService
from app.services.recommendation.service import RecommendService


def rights_of(adapters: Adapters, *, departures: Departures) -> RightsService:
    """Return what answers ``/users/{user}/export``, ``…/restriction`` and ``…/objection``."""
    return RightsService(
        uows=adapters.uows,
        memory=adapters.memory,
        departures=departures,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def prove_of(
    adapters: Adapters, *, recommend: RecommendService, feed: FeedService, search: ResidueSearch
) -> ProveService:
    """Return what answers ``POST /admin/prove``."""
    return ProveService(
        uows=adapters.uows,
        recommend=recommend,
        feed=feed,
        search=search,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def operations_of(adapters: Adapters) -> OperationsService:
    """Return what retries, holds, releases, rejects and extends requests."""
    return OperationsService(
        uows=adapters.uows, queue=adapters.queue, ledger=adapters.ledger, clock=adapters.clock
    )


def overview_of(adapters: Adapters, *, checkpoints: CheckpointService) -> OverviewService:
    """Return what the console shows of many requests at once."""
    return OverviewService(
        uows=adapters.uows, checkpoints=checkpoints, signer=adapters.signer, clock=adapters.clock
    )
