"""Four API processes, small; benchmarks/chaos/processes.py runs it large and says more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.chaos.fleet import Findings, Seen
from benchmarks.chaos.processes import run
from tests.e2e.cluster import cluster
from tests.servers.postgres import PostgresServer


@pytest.mark.timeout(300)
def test_no_process_answers_from_before_a_forget(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    inline = {"LETHE_QUEUE": "inline"}
    with cluster(postgres_server, folder=tmp_path, settings=inline) as servers:
        # Erasures are done in these processes, so they need the files.
        beside = replace(servers, environment=servers.beside_chroma)
        figures = run(beside, n_groups=5, calls_each=12, n_clients=4, n_processes=3, n_asleep=1)

    answers, slept = figures["answers"], figures["slept"]
    assert isinstance(answers, dict)
    assert isinstance(slept, dict)
    assert answers["broken"] == 0
    assert answers["after"] > 0
    assert answers["rested_before"] > 0, "the search finds nothing at all"
    assert slept["certificates_waited_for_its_lease"]
    assert slept["built_anew"] == 1
    assert figures["state_hashes"] == 1
    assert figures["equal_to_a_rebuild_without_the_forgotten"]


def test_an_answer_counts_by_when_it_was_asked_for() -> None:
    findings = Findings(asked={0: (10.0, 11.0)})
    findings.seen += [
        Seen(0, sent_s=8, arrived_s=9, rests=True),
        Seen(0, sent_s=9, arrived_s=12, rests=True),
        Seen(0, sent_s=12, arrived_s=13, rests=True),
        Seen(0, sent_s=12, arrived_s=13, rests=False),
    ]

    assert findings.judged() == {
        "before": 1,
        "rested_before": 1,
        "under_way": 1,
        "after": 2,
        "broken": 1,
    }
