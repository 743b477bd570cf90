"""Finds the present collection of a family, while a re-index may be replacing it.

A family (``memory-07``, ``items``) is stored in numbered generations, so that a name is never
used twice. The present generation is the highest that is marked ready. While a re-index fills
the next one, writers do each write in both, the present one first; readers stay on the present
one until it is dropped, then find the next. Chroma does not report that a collection was dropped
during a call, so readers and writers check afterwards that it is still there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from chromadb.api.models.Collection import Collection
from chromadb.errors import ChromaError, InternalError, NotFoundError

from app.adapters.chroma.client import vendor_errors
from app.adapters.chroma.layout import CollectionSpec, collection_name, parse_name
from app.adapters.chroma.servers import Chroma
from app.domain.errors import DependencyUnavailableError, StoreDamagedError

T = TypeVar("T")
_ATTEMPTS: Final = 6
_PAUSE_S: Final = 0.02
_HALF_DROPPED: Final = "Missing metadata segment"
"""A server says so of a collection whose row it still found, and whose parts a drop had taken."""
_BUSY: Final = "the vector store does not answer"


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of a family, with Chroma's handle."""

    family: str
    number: int
    collection: Collection


class Generations:
    """Caches Chroma's handles of the present generations of some families.

    Args:
        database: where the collections are.
        families: names without generation.
        spec: how a missing collection is made, and what a found one is checked against.

    Raises:
        IntegrityError: a collection was filled by another embedder.
        DependencyUnavailableError: Chroma does not answer.
    """

    def __init__(self, database: Chroma, *, families: frozenset[str], spec: CollectionSpec) -> None:
        self._database = database
        self._families = families
        self._lock = threading.Lock()
        self._present: Mapping[str, Generation] = {}
        self.spec = spec
        self.refresh()

    def refresh(self) -> None:
        """Read from Chroma which generations are present."""
        newest: dict[str, Generation] = {}
        for collection in self._database.collections():
            parsed = parse_name(collection.name)
            if parsed is None or parsed[0] not in self._families:
                continue
            self.spec.require_match(collection.metadata)
            family, number = parsed
            known = newest.get(family)
            if collection.metadata["ready"] and (known is None or known.number < number):
                newest[family] = Generation(family, number, collection)
        with self._lock:
            self._present = newest

    def present(self, family: str) -> Generation | None:
        """Return the present generation of a family, None where nothing was ever written."""
        known = self._present.get(family)
        if known is None:
            self.refresh()  # another process may have made it
            known = self._present.get(family)
        return known

    def all_present(self) -> list[Generation]:
        """Return the present generations that are known, by family."""
        return [generation for _, generation in sorted(self._present.items())]

    def read(
        self,
        family: str,
        action: Callable[[Collection], T],
        *,
        default: T,
        is_whole: Callable[[T], bool],
    ) -> T:
        """Return ``action(collection)`` of the present generation, ``default`` where none is.

        Args:
            family: which one.
            action: reads; may be called more than once.
            default: the answer where there is no collection.
            is_whole: whether an answer is complete. One that is not may come from a generation
                that is being dropped, so it counts only if that is still there afterwards.
        """
        for _ in self._attempts():
            generation = self.present(family)
            if generation is None:
                return default
            done, answer = self._try(generation.collection, action)
            if done and (is_whole(answer[0]) or self._exists(generation)):
                return answer[0]
            self.refresh()
        raise DependencyUnavailableError(_BUSY)

    def write(self, family: str, action: Callable[[Collection], None]) -> None:
        """Call ``action`` on the present generation and on every later one that is being made.

        A write into a generation that is being dropped may be accepted and lost, so the last one
        written to must still be there afterwards, without a successor; else all is repeated.
        ``action`` must be idempotent; it is not called where there is no collection.
        """
        for _ in self._attempts():
            generation = self.present(family)
            if generation is None:
                return
            last = generation
            following: Generation | None = generation
            while following is not None:
                last = following
                with self._database.part(family).turn():
                    done, _ = self._try(last.collection, action)
                following = self._successor(last) if done else None
            if done and self._exists(last):
                return
            self.refresh()
        raise DependencyUnavailableError(_BUSY)

    def ensure(self, family: str) -> None:
        """Make the first generation of a family that has none."""
        if self.present(family) is None:
            self._database.ensure(collection_name(family, generation=1), spec=self.spec)
            self.refresh()

    def _attempts(self) -> Iterator[int]:
        """Yield the numbers of the attempts, with a pause that grows before each but the first."""
        for attempt in range(_ATTEMPTS):
            if attempt:  # even a sleep of 0 gives the processor away
                time.sleep(attempt * _PAUSE_S)
            yield attempt

    def _try(
        self, collection: Collection, action: Callable[[Collection], T]
    ) -> tuple[bool, list[T]]:
        """Return (True, [answer]), or (False, []) if another attempt may succeed.

        Raises:
            StoreDamagedError: the collection's files are damaged; using it could crash the process.
        """
        if collection.name in self._database.damaged:
            raise StoreDamagedError(f"the files of {collection.name} are damaged: re-index it")
        with vendor_errors():
            try:
                return True, [action(collection)]
            except NotFoundError:
                return False, []  # a re-index has just dropped it
            except InternalError:
                # "Error finding id": a record was deleted between Chroma's two look-ups of it.
                return False, []
            except ChromaError as error:
                if _HALF_DROPPED not in str(error):
                    raise
                return False, []

    def _successor(self, generation: Generation) -> Generation | None:
        """Return the next generation, ready or not, if one is being made."""
        number = generation.number + 1
        found = self._database.find(collection_name(generation.family, generation=number))
        return None if found is None else Generation(generation.family, number, found)

    def _exists(self, generation: Generation) -> bool:
        found = self._database.find(generation.collection.name)
        return found is not None and found.id == generation.collection.id
