"""The search of the raw bytes of every store for what must be gone."""

from __future__ import annotations

from typing import Protocol

from app.domain.residue import Needles, ProbeReport


class Probe(Protocol):
    """Searches the files of every store that it was told of."""

    def search(self, needles: Needles, *, control: Needles) -> tuple[ProbeReport, ...]:
        """Search all stores for ``needles``; return one report a store.

        Args:
            needles: what must be gone, collected before the scrub.
            control: of a canary that is in every store now; a store whose search does not
                find it is reported with ``control_found`` false, whatever else it found.

        Raises:
            DependencyUnavailableError: a store's files could not be read to the end.
        """
        ...
