"""The README's tour on all the services of the compose file, every command as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import wait_for
from tests.servers import missing_server_is_a_skip, require_programs
from tests.servers.compose import ROOT
from tests.servers.machine import require_servers
from tests.servers.ports import free_port

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1800)]
README = (ROOT / "README.md").read_text()
UP = f"{sys.executable} -m tests.servers.up"
_ASKED = 10
"""Answers in a row that have to be right: of two processes, each is likely among those asked."""


def blocks(*, of: str) -> list[str]:
    """The blocks of a language within the tour."""
    tour = README.partition("## A tour\n")[2].partition("\n## Compared")[0]
    return re.findall(rf"^```{of}\n(.*?)^```$", tour, re.MULTILINE | re.DOTALL)


def shell(command: str, *, environment: Mapping[str, str], folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def up() -> Iterator[tuple[dict[str, str], Path]]:
    """Everything that ``make env`` and ``make up`` start, with the demo set in it."""
    with missing_server_is_a_skip():
        require_programs("curl", "jq")
        require_servers()
    with tempfile.TemporaryDirectory(prefix="lethe-tour-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for PostgreSQL's user
        inherited = {name: text for name, text in os.environ.items() if name[:6] != "LETHE_"}
        subprocess.run([str(ROOT / ".ci" / "new-env")], cwd=folder, check=True, capture_output=True)
        said = dict(re.findall(r"^(\w+)=(.*)$", (folder / ".env").read_text(), re.MULTILINE))
        environment = (
            inherited
            | said
            | {
                "COMPOSE_PROFILES": "",
                "LETHE_LLM__BASE_URL": "",
                "PORT": str(free_port()),
                "PYTHONPATH": str(ROOT),
                "SECRETS_DIR": str(folder / "secrets"),
                "UP_DIR": str(folder / "up"),
            }
        )
        try:
            shell(f"{UP} up", environment=environment, folder=folder)
            yield environment, folder
        finally:
            shell(f"{UP} down --volumes", environment=environment, folder=folder)


def test_the_tour_ends_with_a_verified_certificate(up: tuple[dict[str, str], Path]) -> None:
    environment, folder = up
    token = (folder / "secrets" / "LETHE_AUTH__SERVICE_TOKEN").read_text()
    local = {
        "localhost:8000": f"127.0.0.1:{environment['PORT']}",
        "dev-service-token": token,
        ".venv/bin/lethe keys": f"{UP} exec api lethe keys",
        ".venv/bin/lethe": str(Path(sys.executable).with_name("lethe")),
        ".venv/bin/python": sys.executable,
    }

    printed = re.compile("|".join(map(re.escape, local)))  # in one go: ours have theirs in them

    def here(command: str) -> str:
        return printed.sub(lambda found: local[found[0]], command)

    (load,) = re.findall(r"`(\S+ -m tests\.servers\.up exec \w+ lethe load demo)`", README)

    def is_loaded() -> bool:
        done = subprocess.run(
            ["bash", "-c", here(load)],
            cwd=folder,
            env=environment,
            check=False,
            capture_output=True,
        )
        return done.returncode == 0  # a load that was broken off goes on where it was

    wait_for("the demo set is loaded", is_loaded, timeout_s=300)
    first, *_ = blocks(of="sh")
    lists, topic, *_ = blocks(of="json")

    def is_counted() -> bool:
        """Each of several processes folds what was only added into its model some seconds later."""
        return all(
            shell(here(first), environment=environment, folder=folder) == lists
            for _ in range(_ASKED)
        )

    wait_for("all that was loaded counts everywhere", is_counted, timeout_s=60)
    steps = "\n".join(blocks(of="sh"))
    assert steps.count("curl") == 6
    told = shell(here(steps), environment=environment, folder=folder)

    assert told.startswith(lists + topic)
    assert '{"personalised":false,"ranked_by":"popularity"}' in told
    assert told.rstrip().endswith("VERIFIED")


def test_every_service_is_well_after_the_tour(up: tuple[dict[str, str], Path]) -> None:
    environment, folder = up

    address = f"http://127.0.0.1:{environment['PORT']}/readyz"

    def states() -> dict[str, str]:
        told = httpx.get(address, timeout=10).json()["dependencies"]
        return {name: one["status"] for name, one in told.items()}

    # Workers that have just started have not been heard of yet.
    wait_for("all are well", lambda: {*states().values()} == {"ready", "absent"}, timeout_s=60)
    shown = shell(f"{UP} ps", environment=environment, folder=folder)

    assert states()["llm"] == "absent"
    assert len(shown.splitlines()) == 8
    assert "restarts" not in shown
