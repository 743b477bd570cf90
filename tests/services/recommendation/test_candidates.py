"""How sources are fused."""

from __future__ import annotations

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
