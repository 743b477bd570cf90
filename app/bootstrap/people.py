"""What people ask for besides recommendation and erasure, and what administrators do."""

from __future__ import annotations

from app.bootstrap.adapters import Adapters
from app.services.checkpoints import CheckpointService
from app.services.collect import ResidueSearch
from app.services.departures import Departures
from app.services.feed import FeedService
from app.services.operations import OperationsService
from app.services.overview import OverviewService
from app.services.prove import ProveService
from app.services.recommend import RecommendService
from app.services.rights import RightsService


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
