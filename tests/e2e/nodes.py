"""A cluster with more Chroma servers, each with a worker of its own beside its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.e2e.cluster import Cluster
from tests.e2e.processes import Running, working
from tests.servers.chroma import started_chroma


@dataclass(frozen=True, slots=True)
class Nodes:
    """The environments under which our processes use several servers.

    Args:
        environment: of API processes.
        beside: of workers, in the order of the nodes.
        directories: of the servers, in the same order.
    """

    environment: dict[str, str]
    beside: list[dict[str, str]]
    directories: list[Path]

    def told(self, change: Callable[[list[str]], list[str]]) -> Nodes:
        """Return the same with another list of addresses."""
        urls = ",".join(change(self.environment["LETHE_CHROMA__URLS"].split(",")))
        beside = [_told(one, urls) for one in self.beside]
        return replace(self, environment=_told(self.environment, urls), beside=beside)


@contextmanager
def several_chromas(servers: Cluster, *, n: int) -> Iterator[Nodes]:
    """Give a cluster ``n`` Chroma servers until the block ends; the first is the one it has."""
    with ExitStack() as stack:
        folders = [servers.folder / f"chroma-{number}" for number in range(1, n)]
        started = [stack.enter_context(started_chroma(folder)) for folder in folders]
        urls = ",".join([servers.chroma.url, *(one.url for one in started)])
        directories = [servers.chroma.directory, *folders]
        yield Nodes(
            _told(servers.environment, urls),
            [
                _told(servers.beside_chroma, urls)
                | {"LETHE_CHROMA__PERSIST_DIR": str(one), "LETHE_CHROMA__NODE": f"chroma-{number}"}
                for number, one in enumerate(directories)
            ],
            directories,
        )


@contextmanager
def all_working(nodes: Nodes, *, folder: Path, concurrency: int = 1) -> Iterator[list[Running]]:
    """Run a worker beside each server until the block ends; the first asks for sweeps."""
    with ExitStack() as stack:
        running = []
        for number, environment in enumerate(nodes.beside):
            here = folder / f"worker-{number}"
            here.mkdir(exist_ok=True)
            made = working(environment, folder=here, concurrency=concurrency, beat=number == 0)
            running.append(stack.enter_context(made))
        yield running


def _told(environment: dict[str, str], urls: str) -> dict[str, str]:
    # A port for metrics bears one worker on a machine.
    left_out = {"LETHE_CHROMA__URL", "LETHE_API__METRICS_PORT"}
    kept = {name: value for name, value in environment.items() if name not in left_out}
    return kept | {"LETHE_CHROMA__URLS": urls}
