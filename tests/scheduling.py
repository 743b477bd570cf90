"""Which tests have to run in the same process when several processes run the tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT: Final = Path(__file__).parents[1]
ORDER: Final = {
    "tests/crash/test_celery.py": 0,
    "tests/crash/test_embedded.py": 1,
    "tests/e2e/test_erasure_queue.py": 2,
    "vllm": 3,
    "tests/api/test_schema.py": 4,
}
"""The slowest groups, the slowest first."""


@cache
def group_of(nodeid: str) -> str:
    """Return the group of a test: its file, or what is made once for several files.

    Each process would start a vLLM of its own.
    """
    file = nodeid.partition("::")[0]
    if "llm_server: VllmServer" in (ROOT / file).read_text():
        return "vllm"
    return file


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist is not typed
    """Keeps a group together: the mark for it that xdist 3.8 knows is lost under pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByGroup:
    """Hand tests out by group."""
    return ByGroup(config, log)
