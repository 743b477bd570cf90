"""The search of the raw bytes of every store for what must be gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.domain.erasure.residue import Needles, ProbeReport


class Probe(Protocol):
    """Searches the files of every store that it was told of."""

    def search(
        self, groups: Sequence[Needles], *, control: Needles, key: bytes = b""
    ) -> list[tuple[ProbeReport, ...]]:
        """Search all stores once for several groups of needles.

        Args:
            groups: of each erasure what must be gone, collected before its scrub.
            control: of a canary that is in every store now; a store whose search does not
                find it is reported with ``control_found`` false, whatever else it found.
            key: of the groups' and the control's fingerprints, where they have any.

        Returns:
            For each group one report a store.

        Raises:
            DependencyUnavailableError: a store's files could not be read to the end.
        """
