"""The use cases over the adapters."""

from __future__ import annotations

from collections.abc import Callable

from app.adapters.cache.redis import ping
from app.adapters.system.signing import is_signed
from app.bootstrap.adapters import Adapters
from app.bootstrap.administration import (
    operations_of,
    overview_of,
    prove_of,
    rights_of,
    webhooks_of,
)
from app.bootstrap.deployment import deployment_of
from app.bootstrap.erasure import (
    erase_of,
    forget_of,
    rechecks_of,
    removal_of,
    restore_of,
    retention_of,
    sweep_of,
)
from app.bootstrap.recommendation import calibration_of, lists_of, recommend_of
from app.bootstrap.shared import SharedServices
from app.container import Container
from app.observability import Metrics
from app.services.administration.access import AccessService
from app.services.administration.health import HealthService
from app.services.administration.request_lists import RequestLists
from app.services.audit.evidence import OutsideEvidence
from app.services.audit.integrity_check import AuditCheckService
from app.services.audit.log import AuditService
from app.services.audit.reconciliation import ReconcileService
from app.services.erasure.restore_guard import RestoreService
from app.services.ingestion.dataset_loader import LoadService


def container_of(adapters: Adapters, metrics: Metrics | None = None) -> Container:
    """Return the use cases over ``adapters``; ``metrics`` counts what they do."""
    shared, uows = SharedServices.over(adapters), adapters.uows
    rechecks, recommend = rechecks_of(adapters, shared), recommend_of(adapters, shared)
    return Container(
        about=deployment_of(adapters.settings),
        identity=adapters.identity,
        clock=adapters.clock,
        access=_access(adapters),
        recommend=recommend,
        lists=lists_of(adapters, shared),
        ingest=shared.ingest,
        catalogue=shared.catalogue,
        load=_load(adapters, shared),
        resolver=shared.resolver,
        rights=rights_of(adapters, in_flight=shared.in_flight),
        forget=(forget := forget_of(adapters, shared)),
        removal=removal_of(adapters, shared),
        restore=(restore := restore_of(adapters, shared, forget)),
        retention=retention_of(adapters, forget),
        rechecks=rechecks,
        webhooks=webhooks_of(adapters),
        checkpoints=shared.audit_services.checkpoints,
        succession=shared.audit_services.succession,
        witnessing=shared.audit_services.witnessing,
        audit_check=AuditCheckService(uows=uows, signer=adapters.signer, is_signed=is_signed),
        reconcile=_reconcile(adapters, shared),
        search=shared.search,
        prove=prove_of(adapters, recommend=recommend, feed=shared.feed, search=shared.search),
        erase=(erase := erase_of(adapters, shared, rechecks, metrics or Metrics())),
        sweep=sweep_of(adapters, shared, erase),
        feed=shared.feed,
        current=shared.current,
        audit=AuditService(uows=uows, clock=adapters.clock),
        operations=operations_of(adapters),
        request_lists=RequestLists(uows=uows, clock=adapters.clock),
        overview=overview_of(adapters, checkpoints=shared.audit_services.checkpoints),
        reading=shared.reading,
        calibration=calibration_of(adapters, shared),
        health=_health(adapters, shared, restore),
    )


def _reconcile(adapters: Adapters, shared: SharedServices) -> ReconcileService:
    outside = OutsideEvidence(
        signer=adapters.signer,
        is_signed=is_signed,
        ledger=adapters.ledger,
        standing=shared.audit_services.succession.standing,
    )
    return ReconcileService(uows=adapters.uows, outside=outside)


def _access(adapters: Adapters) -> AccessService:
    return AccessService(uows=adapters.uows, identity=adapters.identity, clock=adapters.clock)


def _load(adapters: Adapters, shared: SharedServices) -> LoadService:
    return LoadService(
        uows=adapters.uows,
        catalogue=shared.catalogue,
        ingest=shared.ingest,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def _health(adapters: Adapters, shared: SharedServices, restore: RestoreService) -> HealthService:
    forget = adapters.settings.forget
    silent_after_s = None if adapters.inline else max(forget.take_over_s, 3 * forget.sweep_s)
    return HealthService(
        uows=adapters.uows,
        memory=adapters.memory,
        stores=_stores(adapters),
        reading=shared.reading,
        restore=restore,
        succession=shared.audit_services.succession,
        clock=adapters.clock,
        workers_silent_after_s=silent_after_s,
    )


def _stores(adapters: Adapters) -> dict[str, Callable[[], object]]:
    """Return by name what asks a store whether it answers."""
    canary = adapters.identity.canary()
    stores: dict[str, Callable[[], object]] = {"vault": lambda: adapters.vault.wrapped(canary)}
    client = adapters.redis
    if client is not None:
        stores["redis"] = lambda: ping(client)
    return stores
