"""The real model, served by a vLLM for the time of a measurement, or until it is stopped.

python -m benchmarks.llm.served    # on 127.0.0.1:8001, as `make run-llm` does
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

from app.adapters.llm.client import LlmChannel, LlmServer
from tests.servers.vllm import REAL, made_model, server_command, server_environment, vllm_server

PORT: Final = 8001


@contextmanager
def served_model() -> Iterator[LlmServer]:
    """Give the server.

    Raises:
        ServerMissingError: none answers and none can be started.
    """
    with (
        TemporaryDirectory() as folder,
        vllm_server(Path(folder), model=REAL) as server,
        closing(LlmChannel()) as channel,
    ):
        yield LlmServer(server.base_url, model=server.model, channel=channel)


def main() -> None:
    """Make the model where it is missing, and become the server."""
    folder = Path(gettempdir())
    command = server_command(made_model(folder, REAL), port=PORT)
    environment = server_environment(folder) | {"OMP_NUM_THREADS": str(os.cpu_count())}
    os.execve(command[0], [*command], environment)  # noqa: S606 - a command of ours, no shell


if __name__ == "__main__":
    main()
