"""A real small model on a server that reads little at once, and texts of many tokens a character.

Such a prompt is refused as a whole, so that each list would come without the model, for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from app.adapters.llm.pool import RankerPool
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import ShownMemory
from app.ports.ranker import RankingForm, RankingTask
from app.settings_llm import LlmSettings
from tests.contract.ranker_connected import connect_ranker
from tests.servers.vllm import REAL, VllmServer, vllm_server

CONTEXT_TOKENS = 512
ALPHABETS = {
    "Latin": "The Mysterious Affair at Styles",
    "Thai": "แฮร์รี่ พอตเตอร์ กับศิลาอาถรรพ์",
    "Chinese": "哈利·波特与魔法石 红楼梦",
    "emoji": "🐋🚢⛵️🦈🌊",
    "hieroglyphs": "𓀀𓁐𓂀𓃠",
    "numbers": "1984 2001 451",
}
"""From a fifth of a token for a byte to one."""
N_CANDIDATES = 6


@pytest.fixture(scope="module")
def small_llm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    folder = tmp_path_factory.mktemp("small-vllm")
    with vllm_server(folder, model=REAL, context_tokens=CONTEXT_TOKENS) as running:
        yield running


def task_of(text: str, *, query: str | None, form: RankingForm | None) -> RankingTask:
    """Return a task of texts that fill every line that can be shown."""
    long = f"{text} " * 12
    items = [Item(ItemId(f"i{n}"), f"{n} {long}", long) for n in range(N_CANDIDATES + 8)]
    memories = [
        ShownMemory(Kind.LIKE, one, strength=1.0, text=long) for one in items[N_CANDIDATES:]
    ]
    return RankingTask(memories, items[:N_CANDIDATES], "5" * 64, 7, 120.0, query, form)


@pytest.mark.parametrize("mode", ["one_pass", "json"])
def test_every_form_answers_in_any_alphabet_at_once(
    mode: str, small_llm_server: VllmServer
) -> None:
    settings = LlmSettings.model_validate(
        {"base_url": small_llm_server.base_url, "model": small_llm_server.model, "mode": mode}
    )
    with closing(connect_ranker(settings)) as pool, capture_logs():
        pool.warm_up()
        found = {
            name: ranked(pool, text, is_json=mode == "json") for name, text in ALPHABETS.items()
        }

    assert found == {name: [N_CANDIDATES] * len(found["Latin"]) for name in ALPHABETS}


def ranked(pool: RankerPool, text: str, *, is_json: bool) -> list[int]:
    """Return how many candidates each form has ranked: by label or JSON, by titles, by query."""
    tasks = [task_of(text, query=None, form=None)]
    if not is_json:  # the others are the same beside either
        tasks.append(task_of(text, query=None, form=RankingForm.LIKELIHOOD))
        tasks.append(task_of(text, query=f"{text} " * 12, form=None))
    return [len(pool.rank(one).log_probabilities) for one in tasks]
