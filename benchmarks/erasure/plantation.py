"""Users made up for the benchmark, the same for every procedure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.chroma.grid import on_grid
from app.domain.erasure.residue import Needles

DIM: Final = 384
PER_USER: Final = 20
N_LEAVING: Final = 5
_SYLLABLES: Final = ("ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti")


@dataclass(frozen=True, slots=True, eq=False)
class Plantation:
    """Records of users; the first user stays as the canary, the next N_LEAVING leave.

    Args:
        vectors: shape (n, DIM), unit norm.
    """

    ids: tuple[str, ...]
    users: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: NDArray[np.float32]

    @property
    def canary(self) -> slice:
        """Return the rows of the user who stays."""
        return slice(0, PER_USER)

    @property
    def leaving(self) -> slice:
        """Return the rows of the users who leave."""
        return slice(PER_USER, PER_USER * (1 + N_LEAVING))

    def leaving_users(self) -> list[str]:
        """Return the users who leave."""
        return list(dict.fromkeys(self.users[self.leaving]))

    def needles(self, rows: slice, *, ids: tuple[str, ...] | None = None) -> Needles:
        """Return what to search for; ``ids`` where the procedure gave its own."""
        return Needles(
            documents=self.texts[rows],
            ids=(ids or self.ids)[rows],
            pseudonyms=tuple(dict.fromkeys(self.users[rows])),
            vectors=tuple(self.vectors[rows]),
        )

    def save(self, path: Path) -> None:
        """Write for a peer's process."""
        np.savez(
            path,
            ids=self.ids,
            users=self.users,
            texts=self.texts,
            vectors=self.vectors,
            leaving=self.leaving_users(),
        )


def plant(n_records: int, *, seed: int) -> Plantation:
    """Return ``n_records`` records: texts of made-up words, directions, hexadecimal ids."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n_records, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    users = [rng.bytes(32).hex() for _ in range(-(-n_records // PER_USER))]
    return Plantation(
        ids=tuple(rng.bytes(16).hex() for _ in range(n_records)),
        users=tuple(users[row // PER_USER] for row in range(n_records)),
        texts=tuple(_text(rng) for _ in range(n_records)),
        vectors=on_grid(vectors),  # as Lethe writes them, so that all procedures get the same
    )


def _text(rng: np.random.Generator) -> str:
    words = ("".join(rng.choice(_SYLLABLES, size=rng.integers(2, 5))) for _ in range(18))
    return " ".join(words)
