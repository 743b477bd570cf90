"""How sources are fused."""

from __future__ import annotations

import numpy as np

from app.adapters.neighbours import ExactNeighbours
from app.domain.models import Item, ItemId, Pseudonym
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.vectors import ItemVectors
from app.services.recommendation.candidates import CandidateConfig, Candidates, Wish
from app.services.recommendation.rules import Rules
from tests.fakes_memory import FakeCatalogueIndex

LIKED = [ItemId(f"liked-{number}") for number in range(8)]
CLOSE, POPULAR, STRANGE = ItemId("close"), ItemId("popular"), ItemId("strange")


def test_what_many_have_comes_first_of_its_company_when_little_is_known_of_somebody() -> None:
    histories = [[LIKED[0], CLOSE]] * 8 + [[LIKED[0], POPULAR]] * 6 + [[POPULAR, STRANGE]] * 40
    histories += [[item] for item in LIKED]
    neighbours = ExactNeighbours(regularisation=5.0)
    neighbours.build((Pseudonym(f"{at:064}"), one) for at, one in enumerate(histories))
    every = [Item(one, one) for one in (*LIKED, CLOSE, POPULAR, STRANGE)]
    rules = Rules.plain(
        CatalogueSnapshot.of(every, ItemVectors(FakeCatalogueIndex())), exclude=LIKED
    )
    candidates = Candidates(neighbours=neighbours, config=CandidateConfig())

    def listed(n_liked: int) -> list[ItemId]:
        return [one for one, _ in candidates.gather(Wish(LIKED[:n_liked]), rules, top_n=3)]

    assert listed(1) == [POPULAR, CLOSE, STRANGE]
    assert listed(8) == [CLOSE, POPULAR, STRANGE]


def test_among_new_items_what_is_like_somebodys_taste_comes_before_what_is_like_everything() -> (
    None
):
    index = FakeCatalogueIndex()
    like, usual = ItemId("like"), ItemId("a-usual-one")
    rest = [ItemId(f"rest-{number}") for number in range(30)]
    shared, taste, other, *own = np.eye(40, dtype=np.float32)
    vectors = {one: 0.8 * shared + 0.6 * own[at] for at, one in enumerate(rest)}
    vectors[LIKED[0]] = 0.8 * shared + 0.6 * taste
    vectors[usual] = shared
    vectors[like] = 0.3 * shared + 0.9 * taste + np.float32(0.1**0.5) * other
    index.upsert([Item(one, one) for one in vectors], np.stack([*vectors.values()]))
    catalogue = CatalogueSnapshot.of([Item(one, one) for one in vectors], ItemVectors(index))
    neighbours = ExactNeighbours(regularisation=5.0)
    neighbours.build([(Pseudonym("0" * 64), [LIKED[0]])])
    rules = Rules.plain(catalogue, exclude=[LIKED[0], *rest])
    wish = Wish([LIKED[0]], profile=vectors[LIKED[0]])

    found = Candidates(neighbours=neighbours, config=CandidateConfig()).gather(wish, rules, top_n=2)

    nearness = {one: float(vectors[one] @ vectors[LIKED[0]]) for one in (usual, like)}
    assert nearness[usual] > nearness[like]
    assert [one for one, _ in found] == [like, usual]
