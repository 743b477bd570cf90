from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.settings_llm import LlmSettings
from tests.world import StubRanker, World, open_world


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A populated world for tests that only add users of their own."""
    with open_world(tmp_path_factory.mktemp("world")) as world:
        world.populate()
        yield world


@pytest.fixture
def ranker() -> StubRanker:
    return StubRanker()


@pytest.fixture
def llm_world(tmp_path_factory: pytest.TempPathFactory, ranker: StubRanker) -> Iterator[World]:
    """A populated world with an LLM of its own."""
    llm = LlmSettings(weight=0.3, query_weight=0.3, must_read=False)
    with open_world(tmp_path_factory.mktemp("llm"), ranker=ranker, llm=llm) as world:
        world.populate()
        yield world


@pytest.fixture
def own_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A populated world that a test may break."""
    with open_world(tmp_path_factory.mktemp("own")) as world:
        world.populate()
        yield world
