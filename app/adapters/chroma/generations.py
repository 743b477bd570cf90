"""Which collection of a family is the present one, while a re-index may replace it.

A family (``memory-07``, ``items``) is stored in numbered generations, so that a name is never
used twice. The present generation is the highest that is marked ready. While a re-index fills
the next one, writers do each write in both (first the present one), so nothing is lost; readers
stay on the present one until it is dropped, then find the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from chromadb.api.models.Collection import Collection
from chromadb.errors import NotFoundError

from app.adapters.chroma.client import ChromaDatabase, vendor_errors
from app.adapters.chroma.layout import CollectionSpec, collection_name, parse_name
from app.domain.errors import DependencyUnavailableError

T = TypeVar("T")
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of a family, with Chroma's handle."""

    family: str
    number: int
    collection: Collection


class Generations:
    """Handles of the present generations of some families, kept and renewed.

    Args:
        database: where the collections are.
        families: names without generation.
        spec: how a missing collection is made, and what a found one is checked against.

    Raises:
        IntegrityError: a collection was filled by another embedder; names ``lethe reindex``.
        DependencyUnavailableError: Chroma does not answer.
    """

    def __init__(
        self, database: ChromaDatabase, *, families: frozenset[str], spec: CollectionSpec
    ) -> None:
        self._database = database
        self._families = families
        self._lock = threading.Lock()
        self._present: Mapping[str, Generation] = {}
        self.spec = spec
        self.refresh()

    def refresh(self) -> None:
        """Look again which generations are present."""
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

    def successor(self, generation: Generation) -> Collection | None:
        """Return the next generation, ready or not, if one is being made."""
        name = collection_name(generation.family, generation=generation.number + 1)
        return self._database.find(name)

    def read(self, family: str, action: Callable[[Collection], T], *, default: T) -> T:
        """Return ``action(collection)`` of the present generation, ``default`` where none is."""
        for _ in range(_ATTEMPTS):
            generation = self.present(family)
            if generation is None:
                return default
            with vendor_errors():
                try:
                    return action(generation.collection)
                except NotFoundError:
                    pass  # a re-index has just dropped it
            self.refresh()
        raise DependencyUnavailableError("the vector store is being re-indexed")

    def write(self, family: str, action: Callable[[Collection], T], *, default: T) -> T:
        """Do ``action`` on the present generation and on its successor, if one is being made.

        ``action`` must be idempotent. Returns what the present one answered, ``default`` where
        there is no collection.
        """
        for _ in range(_ATTEMPTS):
            generation = self.present(family)
            if generation is None:
                return default
            with vendor_errors():
                try:
                    answer = action(generation.collection)
                except NotFoundError:
                    self.refresh()
                    continue
            self._mirror(generation, action)
            return answer
        raise DependencyUnavailableError("the vector store is being re-indexed")

    def ensure(self, family: str) -> None:
        """Make the first generation of a family that has none."""
        if self.present(family) is None:
            self._database.ensure(collection_name(family, generation=1), spec=self.spec)
            self.refresh()

    def _mirror(self, generation: Generation, action: Callable[[Collection], T]) -> None:
        successor = self.successor(generation)
        if successor is not None:
            with vendor_errors():
                try:
                    action(successor)
                except NotFoundError:
                    return  # an unfinished copy was given up; the present one has the write
