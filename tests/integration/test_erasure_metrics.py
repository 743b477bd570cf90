"""What ``/metrics`` says of erasures and shards is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from app.bootstrap.metrics import watch_erasure
from app.domain.erasure.scope import AllScope
from app.domain.models import RequestId
from app.observability import Metrics
from app.services.erasure.requests import ForgetCommand
from app.settings_groups import ForgetSettings
from tests.servers.compose import ROOT
from tests.world import World, open_world

SEA = [f"sea-{number:02d}" for number in range(6)]
TOLD = "I was at sea all night"
AT_ONCE = ForgetSettings(look_again_days=(1e-9, 2e-9))


def forget(world: World, name: str) -> RequestId:
    world.read(name, SEA, text=TOLD)
    command = ForgetCommand(pseudonym=world.user(name), scope=AllScope())
    return world.container.forget.accept(command).request.request_id


def shown(metrics: Metrics, name: str) -> dict[str, float]:
    """Return the values of a metric by its label."""
    lines = re.findall(rf'^{name}{{\w+="([^"]+)"}} (\S+)$', metrics.render().decode(), re.MULTILINE)
    return {label: float(value) for label, value in lines}


def test_residue_and_dead_slots_are_shown(tmp_path: Path) -> None:
    with open_world(tmp_path, forget=AT_ONCE) as world:
        world.populate(text=TOLD)
        metrics, chroma = Metrics(), tmp_path / "chroma"
        watch_erasure(metrics, world.adapters.uows, directory=chroma)
        assert shown(metrics, "lethe_residue") == {"open": 0, "returned": 0}
        assert shown(metrics, "lethe_shard_dead_slots") == {}
        request_id, name = forget(world, "anna"), world.user("anna")
        (chroma / "stray.bin").write_bytes(name.encode())

        assert not world.erase(request_id)
        assert shown(metrics, "lethe_residue") == {"open": 1, "returned": 0}
        assert shown(metrics, "lethe_erasures_waiting") == {"integrity_error": 1}
        (chroma / "stray.bin").unlink()
        world.clock.ahead += timedelta(seconds=0.6)
        assert world.erase(request_id)
        assert shown(metrics, "lethe_residue") == {"open": 0, "returned": 0}

        (chroma / "stray.bin").write_bytes(name.encode())
        assert world.container.rechecks.run_due() == 1
        assert shown(metrics, "lethe_residue") == {"open": 0, "returned": 1}
        records = shown(metrics, "lethe_shard_records")
        with world.adapters.uows.read() as uow:
            assert sum(n for shard, n in records.items() if shard != "items") == (
                uow.interactions.count()
            )
        assert set(records) <= {"memory-00", "memory-01", "items"}
        assert sum(shown(metrics, "lethe_shard_dead_slots").values()) == len(SEA)
        assert all(n > 0 for n in shown(metrics, "lethe_shard_bytes").values())


def test_metrics_are_answered_while_the_database_is_not(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        metrics = Metrics()
        watch_erasure(metrics, world.adapters.uows, directory=None)
        (tmp_path / "lethe.db").rename(tmp_path / "gone.db")
        (tmp_path / "lethe.db").mkdir()
        world.adapters.uows.close()

        assert shown(metrics, "lethe_residue") == {}
        assert b"process_cpu_seconds_total" in metrics.render()


COUNTS = """
from app.observability import Metrics
metrics = Metrics()
metrics.forget(scope_kind="all")
"""


def test_what_several_processes_of_a_host_count_adds_up(tmp_path: Path) -> None:
    together = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def run(program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=together,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    run(COUNTS)
    run(COUNTS)
    told = run(f"{COUNTS}\nprint(metrics.render().decode())")

    assert 'lethe_forgets_total{scope="all"} 3.0' in told
    assert told.count("lethe_build_info{") == 1
