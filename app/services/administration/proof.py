"""Checks that the service treats an erased user like one it has never seen."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from app.domain.audit.entries import Leaf, LeafKind
from app.domain.models import Pseudonym
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.memory_selection import Strategy
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.erasure.residue_search import ResidueSearch
from app.services.recommendation.answer import Recommendation
from app.services.recommendation.neighbour_sync import NeighbourSync
from app.services.recommendation.query import RecommendQuery
from app.services.recommendation.service import RecommendService

_LENGTHS: Final = (10, 100)
_LOOKS: Final = 3
"""Comparisons of one list. Between two of them somebody else may have changed what is popular."""


class Claim(StrEnum):
    """What is claimed of a user who was erased."""

    ANSWERS = "answers"
    ROWS = "rows"
    MEMORIES = "memories"
    CACHE = "cache"
    KEYS = "keys"
    STATE = "state"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Check:
    """One claim, and how much contradicts it.

    Args:
        examined: how much was examined, in the claim's own unit: lists, tables, bytes …
        against: how much of it shows that the user is known; 0 where the claim holds.
    """

    claim: Claim
    examined: int
    against: int

    @property
    def is_held(self) -> bool:
        """Whether nothing contradicts it."""
        return self.against == 0


@dataclass(frozen=True, slots=True)
class Proof:
    """What a check of one user found.

    Args:
        state: hash of the state that recommendations are made from now, 64 hex digits.
        rebuilt: the same of a state built a moment ago without any row of the user.
        seq: number of the leaf that says that it was asked, and what came of it.
        n_records: what erasures of everything under this id found; None where there was none.
    """

    checks: tuple[Check, ...]
    state: str
    rebuilt: str
    seq: int
    n_records: int | None = None

    @property
    def is_as_never_seen(self) -> bool:
        """Whether every claim holds."""
        return all(check.is_held for check in self.checks)


class ProofService:
    """Answers ``POST /admin/prove`` from the stores as they are now."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        recommend: RecommendService,
        feed: NeighbourSync,
        search: ResidueSearch,
        identity: Identity,
        clock: Clock,
    ) -> None:
        self._uows = uows
        self._recommend = recommend
        self._feed = feed
        self._search = search
        self._identity = identity
        self._clock = clock

    def prove(self, pseudonym: Pseudonym) -> Proof:
        """Check every claim, and append a leaf with the result that names nobody.

        Somebody who was never seen passes, too: to be like them is what is claimed.

        Raises:
            ConflictError: the state changed faster than it could be compared.
            DependencyUnavailableError: a store does not answer, or cannot be searched.
        """
        state, rebuilt = self._feed.compare(without=pseudonym)
        checks = (
            self._answers(pseudonym),
            *self._holdings(pseudonym),
            Check(Claim.STATE, examined=1, against=int(state != rebuilt)),
        )
        proof = self._record(checks, state=state, rebuilt=rebuilt)
        with self._uows.read() as uow:
            n_records = uow.tombstones.n_records(self._identity.tombstone_all(pseudonym))
        return replace(proof, n_records=n_records)

    def _answers(self, pseudonym: Pseudonym) -> Check:
        """Compare the user's lists with those of a user id that was never used."""
        queries = [
            RecommendQuery(pseudonym, n=n, strategy=strategy)
            for n in _LENGTHS
            for strategy in Strategy
        ]
        differing = sum(not self._is_a_strangers(query) for query in queries)
        return Check(Claim.ANSWERS, examined=len(queries), against=differing)

    def _is_a_strangers(self, query: RecommendQuery) -> bool:
        for _ in range(_LOOKS):
            stranger = self._identity.pseudonym(secrets.token_hex(32))
            if self._list(query) == self._list(replace(query, pseudonym=stranger)):
                return True
        return False

    def _list(self, query: RecommendQuery) -> Recommendation:
        """Return all of an answer but how long it took, and the tokens, which are never alike."""
        answer = self._recommend.recommend(query)
        cursor = answer.cursor and "there is one"
        return replace(answer, timings_ms={}, recommendation_id="", cursor=cursor)

    def _holdings(self, pseudonym: Pseudonym) -> Iterator[Check]:
        """Ask every store, then search the bytes of its files."""
        with self._uows.read() as uow:
            rows = uow.subjects.mentions(pseudonym)
        manifest = self._search.everything_of(pseudonym)
        yield Check(Claim.ROWS, examined=len(rows), against=sum(rows.values()))
        for claim, store in _STORES.items():
            yield Check(claim, examined=1, against=manifest.counts[store])
        (reports,) = self._search.search([manifest.needles])
        unsure = sum(not report.control_found for report in reports)
        residue = sum(report.residue for report in reports)
        scanned = sum(report.bytes_read for report in reports)
        # A search that did not find what was planted for it has shown nothing.
        yield Check(Claim.BYTES, examined=scanned, against=residue + unsure)

    def _record(self, checks: Sequence[Check], *, state: str, rebuilt: str) -> Proof:
        failed = [check.claim.value for check in checks if not check.is_held]
        facts = {
            "as_never_seen": not failed,
            "against": " ".join(failed) or None,
            "state": state,
            "rebuilt": rebuilt,
        }
        with self._uows.write() as uow:
            leaf = Leaf(LeafKind.USER_PROVED, self._clock.now(), None, facts)
            (seq,) = uow.audit.append([leaf])
        return Proof(tuple(checks), state=state, rebuilt=rebuilt, seq=seq)


_STORES: Final[Mapping[Claim, str]] = {
    Claim.MEMORIES: "memory",
    Claim.CACHE: "cache",
    Claim.KEYS: "vault",
}
"""The claim and the name under which a manifest counts it."""
