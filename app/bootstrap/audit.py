"""What an erasure is proved by: signatures and the search."""

from __future__ import annotations

from dataclasses import dataclass

from app.adapters.system.signing import is_signed
from app.bootstrap.adapters import Adapters
from app.bootstrap.deployment import deployment_of
from app.bootstrap.witnesses import witnessing_of
from app.services.audit.certificates import CertificateService
from app.services.audit.checkpoints import CheckpointService
from app.services.audit.succession import SuccessionService
from app.services.audit.witnessing import WitnessService
from app.services.erasure.residue_search import ResidueSearch
from app.services.ingestion.service import IngestService


@dataclass(frozen=True, slots=True)
class AuditServices:
    """What signs."""

    checkpoints: CheckpointService
    certificates: CertificateService
    succession: SuccessionService
    witnessing: WitnessService


def audit_services_of(adapters: Adapters) -> AuditServices:
    """Return what signs receipts, checkpoints and certificates."""
    deployment = deployment_of(adapters.settings)
    checkpoints = CheckpointService(
        uows=adapters.uows,
        signer=adapters.signer,
        clock=adapters.clock,
        origin=adapters.settings.audit.origin,
        is_signed=is_signed,
        heads=adapters.ledger,
    )
    certificates = CertificateService(
        uows=adapters.uows,
        checkpoints=checkpoints,
        cipher=adapters.cipher,
        vault=adapters.vault,
        identity=adapters.identity,
        clock=adapters.clock,
        deployment=deployment,
    )
    succession = SuccessionService(
        uows=adapters.uows, checkpoints=checkpoints, signer=adapters.signer, clock=adapters.clock
    )
    witnessing = witnessing_of(
        deployment.policy, uows=adapters.uows, checkpoints=checkpoints, succession=succession
    )
    return AuditServices(checkpoints, certificates, succession, witnessing)


def search_of(adapters: Adapters, ingest: IngestService) -> ResidueSearch:
    """Return the byte search, with its canary."""
    return ResidueSearch(
        uows=adapters.uows,
        memory=adapters.memory,
        cache=adapters.cache,
        vault=adapters.vault,
        ingest=ingest,
        probe=adapters.probe,
        identity=adapters.identity,
        clock=adapters.clock,
    )
