"""Rankers put together as the service has them; importing this imports the whole service."""

import httpx

from app.adapters.llm.pool import RankerPool
from app.adapters.llm.prompts import Prompting
from app.bootstrap.llm import connect_llm, prompting_of
from app.settings_llm import LlmSettings


def new_prompting() -> Prompting:
    """Return the sizes of a ranker of its own: they learn from what its server says it read."""
    return prompting_of(LlmSettings())


def connect_ranker(llm: LlmSettings, *, transport: httpx.BaseTransport | None = None) -> RankerPool:
    """Return the ranker over the servers of ``llm``, as the service has it."""
    return connect_llm(llm, prompting=prompting_of(llm), transport=transport).ranker
