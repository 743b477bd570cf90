"""The reader model, served by a real vLLM for the time of a measurement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from app.adapters.llm.client import LlmChannel, LlmServer
from tests.servers.vllm import READER, vllm_server


@contextmanager
def served_reader() -> Iterator[LlmServer]:
    """Give the server.

    Raises:
        ServerMissingError: none answers and none can be started.
    """
    with (
        TemporaryDirectory() as folder,
        vllm_server(Path(folder), model=READER) as server,
        closing(LlmChannel()) as channel,
    ):
        yield LlmServer(server.base_url, model=server.model, channel=channel)
