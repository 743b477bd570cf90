"""The flow of an erasure, from the request to the certificate and its rechecks."""

from __future__ import annotations

from datetime import timedelta

from app.bootstrap.adapters import Adapters
from app.bootstrap.chroma import share_of_node
from app.bootstrap.fault_injection import stopping_at
from app.bootstrap.metrics import timing
from app.bootstrap.shared import SharedServices
from app.observability import Metrics
from app.services.erasure.item_removal import ItemRemovalService, RemovalStores
from app.services.erasure.leases import EraseConfig
from app.services.erasure.rechecks import RecheckService
from app.services.erasure.requests import ForgetService
from app.services.erasure.restore_guard import RestoreService, RestoreStores
from app.services.erasure.retention import RetentionService
from app.services.erasure.steps import ErasureSteps, StepsConfig
from app.services.erasure.sweeper import SweepService
from app.services.erasure.worker import EraseService


def forget_of(adapters: Adapters, shared: SharedServices) -> ForgetService:
    """Return what takes erasure requests."""
    return ForgetService(
        uows=adapters.uows,
        resolver=shared.resolver,
        queue=adapters.queue,
        ledger=adapters.ledger,
        certificates=shared.audit_services.certificates,
        in_flight=shared.in_flight,
        identity=adapters.identity,
        clock=adapters.clock,
        is_reviewed=adapters.settings.forget.review == "hold",
    )


def retention_of(adapters: Adapters, forget: ForgetService) -> RetentionService:
    """Return what erases what is kept no longer."""
    told = adapters.settings.retention
    return RetentionService(
        uows=adapters.uows,
        forget=forget,
        clock=adapters.clock,
        keeps={kind: timedelta(days=days) for kind, days in told.days.items()},
        inactive=timedelta(days=told.inactive_days) if told.inactive_days else None,
    )


def restore_of(adapters: Adapters, shared: SharedServices, forget: ForgetService) -> RestoreService:
    """Return what applies erasures again after a restore from backup."""
    return RestoreService(
        uows=adapters.uows,
        stores=RestoreStores(adapters.memory, adapters.vault, adapters.ledger),
        forget=forget,
        succession=shared.audit_services.succession,
        ingest=shared.ingest,
        search=shared.search,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def removal_of(adapters: Adapters, shared: SharedServices) -> ItemRemovalService:
    """Return what deletes items."""
    return ItemRemovalService(
        uows=adapters.uows,
        stores=RemovalStores(
            adapters.catalogue_index, adapters.memory, adapters.vault, adapters.cipher
        ),
        ingest=shared.ingest,
        search=shared.search,
        identity=adapters.identity,
        clock=adapters.clock,
    )


def sweep_of(adapters: Adapters, shared: SharedServices, erase: EraseService) -> SweepService:
    """Return what rings again for requests that do not move."""
    return SweepService(
        uows=adapters.uows,
        queue=adapters.queue,
        erase=erase,
        ingest=shared.ingest,
        catalogue=shared.catalogue,
        clock=adapters.clock,
    )


def rechecks_of(adapters: Adapters, shared: SharedServices) -> RecheckService:
    """Return what searches again for erased data, days later."""
    return RecheckService(
        uows=adapters.uows,
        ledger=adapters.ledger,
        search=shared.search,
        clock=adapters.clock,
        after=[timedelta(days=days) for days in sorted(adapters.settings.forget.look_again_days)],
        key=adapters.identity.fingerprint_key(),
    )


def erase_of(
    adapters: Adapters, shared: SharedServices, rechecks: RecheckService, metrics: Metrics
) -> EraseService:
    """Return what carries erasures out."""
    forget, audit_services = adapters.settings.forget, shared.audit_services
    return EraseService(
        uows=adapters.uows,
        steps=ErasureSteps(
            uows=adapters.uows,
            memory=adapters.memory,
            cache=adapters.cache,
            vault=adapters.vault,
            search=shared.search,
            certificates=audit_services.certificates,
            clock=adapters.clock,
            config=StepsConfig(),
        ),
        certificates=audit_services.certificates,
        rechecks=rechecks,
        clock=adapters.clock,
        owner=adapters.process_id,
        config=EraseConfig(
            lease_s=forget.lease_s,
            heartbeat_s=forget.heartbeat_s,
            max_attempts=forget.max_attempts,
            backoff_s=forget.backoff_s,
            batch=forget.batch,
            share=share_of_node(adapters.settings) if adapters.here else (0, 1),
        ),
        on_point=timing(metrics, adapters.clock, then=stopping_at(forget.stop_at)),
    )
