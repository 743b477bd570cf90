"""The witnesses that the policy names."""

from __future__ import annotations

from collections.abc import Callable

from app.adapters.system.witness import HttpWitness
from app.data.verify_lethe import Key, Policy, Wrong, open_note, parse_policy
from app.domain.audit.checkpoint import SignedNote
from app.domain.errors import SettingsError
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.audit.checkpoints import CheckpointService
from app.services.audit.succession import SuccessionService
from app.services.audit.witnessing import WitnessService


def witnessing_of(
    policy: str | None,
    *,
    uows: UnitsOfWork,
    checkpoints: CheckpointService,
    succession: SuccessionService,
) -> WitnessService:
    """Return what asks the witnesses of ``policy``, read by the verifier's own code.

    Raises:
        SettingsError: it is no policy, or a witness has no address.
    """
    try:
        parsed = parse_policy(policy or "")
    except Wrong as error:
        raise SettingsError([f"LETHE_AUDIT__POLICY: {error}"]) from None
    return WitnessService(
        uows=uows,
        checkpoints=checkpoints,
        succession=succession,
        witnesses=[
            HttpWitness(name, url=_url(policy or "", name), is_its=_signed_by(key))
            for name, key in parsed.witnesses.items()
        ],
        is_met=_meets(parsed),
    )


def _url(policy: str, name: str) -> str:
    for line in policy.splitlines():
        match line.partition("#")[0].split():
            case ["witness", named, _, url] if named == name:
                return url
    raise SettingsError([f"LETHE_AUDIT__POLICY: the witness {name} has no address"])


def _signed_by(key: Key) -> Callable[[SignedNote], bool]:
    def is_its(note: SignedNote) -> bool:
        try:
            return bool(open_note(note.encode(), [key])[1])
        except Wrong:
            return False

    return is_its


def _meets(policy: Policy) -> Callable[[SignedNote], bool]:
    def is_met(note: SignedNote) -> bool:
        return policy.is_met(open_note(note.encode(), list(policy.witnesses.values()))[1])

    return is_met
