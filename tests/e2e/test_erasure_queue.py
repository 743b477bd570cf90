"""What the queue may do to erasures: nothing. Redis flushed, restarted, frozen, deaf, repeated."""

from __future__ import annotations

import base64
import json
import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
import redis

from app.adapters.queue.celery import RING_S, CeleryQueue, make_celery, queue_of
from app.adapters.system.clock import SystemClock
from app.bootstrap.metrics import watch_queue
from app.domain.models import RequestId
from app.domain.privacy.pseudonyms import Identity
from app.observability import Metrics
from tests.e2e.calls import Api, Json, calling, user
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.processes import PEPPER, Running, kill, serving, wait_for, working
from tests.servers.postgres import PostgresServer
from tests.world import MovedClock

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]
SETTINGS: Final = {"LETHE_FORGET__TAKE_OVER_S": "5", "LETHE_FORGET__MAX_ATTEMPTS": "3"}
_USERS = iter(range(1_000))


@pytest.fixture(scope="module")
def servers(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("queue")
    with cluster(postgres_server, folder=folder, settings=SETTINGS) as made:
        yield made


@pytest.fixture(scope="module")
def api(servers: Cluster) -> Iterator[Api]:
    """A serving process; workers are each test's own."""
    environment = servers.environment
    with serving(environment, folder=servers.folder) as running, calling(running.url) as made:
        made.load(range(40))
        yield made


@pytest.fixture
def name() -> str:
    """A user whom no other test forgets."""
    return user(next(_USERS))


def _raw(servers: Cluster) -> bytes:
    """Return every key and value of the broker, and what messages say once decoded."""
    with servers.redis.client() as client:
        parts = [part for key in client.scan_iter("*") for part in (key, *_values(client, key=key))]
    bodies = [
        base64.b64decode(message["body"]) for message in map(_message, parts) if message is not None
    ]
    return b"\n".join([*parts, *bodies])


def _values(client: redis.Redis, *, key: bytes) -> list[bytes]:
    """Return all values under a key. Not by DUMP: it compresses, and a search finds nothing."""
    untyped: Any = client  # redis-py's annotations mix synchronous and asynchronous answers
    match untyped.type(key):
        case b"list":
            return list(untyped.lrange(key, 0, -1))
        case b"set":
            return list(untyped.smembers(key))
        case b"zset":
            return list(untyped.zrange(key, 0, -1))
        case b"hash":
            return [part for pair in untyped.hgetall(key).items() for part in pair]
        case _:
            return [untyped.get(key)]


def _message(part: bytes) -> Json | None:
    """Return a message of Celery, waiting (an object) or unacknowledged (in a list)."""
    if not part.startswith((b"{", b"[")):
        return None
    found = json.loads(part)
    message: Json = found[0] if isinstance(found, list) else found
    return message


def _flush(servers: Cluster) -> None:
    with servers.redis.client() as client:
        client.flushall()


def _silent(api: Api) -> Json | None:
    found: Json = api.ask("GET", "/readyz")["dependencies"]["workers"]
    return found if found["status"] == "silent" else None


def _seen_by_a_worker(servers: Cluster) -> None:
    """Wait until the worker that was just started has done a task; the API leaves it the rest."""
    now_s = time.time()
    wait_for("a worker does a task", lambda: _seen_s(servers) > now_s)


def test_the_queue_holds_the_request_id_and_nobody(servers: Cluster, api: Api, name: str) -> None:
    pseudonym = Identity(PEPPER.encode()).pseudonym(name)
    _flush(servers)

    request_id = api.forget(name)["request_id"]
    waiting = _raw(servers)
    with working(servers.beside_chroma, folder=servers.folder):
        api.completed(request_id)

    assert request_id.encode() in waiting
    assert b"forget.run" in waiting
    for dumped in (waiting, _raw(servers)):
        assert name.encode() not in dumped
        assert pseudonym.encode() not in dumped


def test_without_workers_an_erasure_waits_for_one_and_readiness_says_that_they_are_silent(
    servers: Cluster, api: Api, name: str
) -> None:
    request_id = api.forget(name)["request_id"]
    silent = wait_for("workers are silent", lambda: _silent(api))
    waiting = api.status(request_id)

    with working(servers.beside_chroma, folder=servers.folder):
        completed = api.completed(request_id)

    assert silent["required"] is False
    assert (waiting["status"], waiting["attempts"]) == ("suppressed", 0)
    assert completed["attempts"] == 1


def test_a_flush_while_a_step_is_done_loses_nothing(servers: Cluster, api: Api, name: str) -> None:
    environment = servers.beside_chroma | {"LETHE_FORGET__STOP_AT": "memory:done"}
    with working(environment, folder=servers.folder) as worker:
        _seen_by_a_worker(servers)
        request_id = api.forget(name)["request_id"]
        child = wait_for("it stops", worker.stopped)

        _flush(servers)
        kill(child)

        assert api.completed(request_id)["attempts"] == 2


def test_what_is_flushed_before_a_worker_reads_it_is_rung_for_again(
    servers: Cluster, api: Api, name: str
) -> None:
    request_id = api.forget(name)["request_id"]
    _flush(servers)

    with working(servers.beside_chroma, folder=servers.folder):
        assert api.completed(request_id)["attempts"] == 1


def test_a_restarted_redis_finds_the_worker_listening(
    servers: Cluster, api: Api, name: str
) -> None:
    with working(servers.beside_chroma, folder=servers.folder):
        _seen_by_a_worker(servers)
        with servers.redis.stopped():
            restarted_s = time.time()

        request_id = api.forget(name)["request_id"]
        api.completed(request_id)

        wait_for("the worker does a task again", lambda: _seen_s(servers) > restarted_s)


def _seen_s(servers: Cluster) -> float:
    with psycopg.connect(servers.database_url) as connection:
        row = connection.execute(
            "SELECT value FROM counter WHERE name = 'worker_seen_ms'"
        ).fetchone()
    return 0.0 if row is None else int(row[0]) / 1_000


def test_a_frozen_redis_does_not_hold_up_the_answer(servers: Cluster, api: Api, name: str) -> None:
    with servers.redis.frozen():
        started_s = time.monotonic()
        request_id = api.forget(name)["request_id"]
        waited_s = time.monotonic() - started_s

    assert waited_s < 6
    with working(servers.beside_chroma, folder=servers.folder):
        api.completed(request_id)


def test_a_frozen_chroma_costs_a_list_what_was_said_and_hardly_any_time(
    servers: Cluster, api: Api, name: str
) -> None:
    assert not api.recommend(name)["degraded"]
    with servers.chroma.frozen():
        started_s = time.monotonic()
        found = api.recommend(name)
        waited_s = time.monotonic() - started_s

    assert (found["degraded"], found["personalised"]) == (True, True)
    assert waited_s < 6


def test_an_unreachable_redis_does_not_fail_the_answer(
    servers: Cluster, api: Api, name: str
) -> None:
    with servers.redis.stopped():
        request_id = api.forget(name)["request_id"]
        assert api.recommend(name)["personalised"] is False

    with working(servers.beside_chroma, folder=servers.folder):
        api.completed(request_id)


def test_the_age_of_a_queue_is_that_of_its_oldest_message(servers: Cluster) -> None:
    clock, metrics = MovedClock(), Metrics()
    queue = CeleryQueue(
        make_celery(servers.redis.url, sweep_s=60, node="nobody", answer_s=RING_S, clock=clock),
        nodes=["nobody"],
    )

    def shown(name: str) -> float:
        (value,) = re.findall(rf"^{name}{{.*}} (\S+)$", metrics.render().decode(), re.MULTILINE)
        return float(value)

    with servers.redis.client() as client:
        watch_queue(metrics, client, queue=queue_of("nobody"), clock=clock)
        assert shown("lethe_queue_age_seconds") == 0
        for _ in range(2):
            queue.ring(RequestId("0" * 32))
            clock.ahead += timedelta(seconds=40)

        assert shown("lethe_queue_messages") == 2
        assert shown("lethe_queue_age_seconds") == pytest.approx(80, abs=30)


def test_deliveries_without_number_erase_once(servers: Cluster, api: Api, name: str) -> None:
    request_id = api.forget(name)["request_id"]
    queue = CeleryQueue(
        make_celery(
            servers.redis.url,
            sweep_s=60,
            node="chroma-0",
            answer_s=RING_S,
            clock=SystemClock(),
        ),
        nodes=["chroma-0"],
    )
    for _ in range(50):
        queue.ring(RequestId(request_id))

    with working(servers.beside_chroma, folder=servers.folder, concurrency=2):
        status = api.completed(request_id)
        with servers.redis.client() as client:
            wait_for("the queue is empty", lambda: client.llen(queue_of("chroma-0")) == 0)

    assert status["attempts"] == 1
    assert [leaf for leaf in _leaves(api, request_id) if leaf == "forget.completed"] == [
        "forget.completed"
    ]


def _leaves(api: Api, request_id: str) -> list[str]:
    found = api.ask("GET", "/admin/audit", as_admin=True, params={"request_id": request_id})
    return [leaf["body"].split('"kind":"')[1].split('"')[0] for leaf in found["leaves"]]


def test_a_request_that_kills_its_workers_fails_and_is_revived(
    servers: Cluster, api: Api, name: str
) -> None:
    """The worker says nothing before it dies; the attempts in SQL are all that tells."""
    environment = servers.beside_chroma | {"LETHE_FORGET__STOP_AT": "!memory:before"}
    with working(environment, folder=servers.folder) as worker:
        _seen_by_a_worker(servers)
        request_id = api.forget(name)["request_id"]
        for _ in range(3):
            kill(wait_for("it stops", worker.stopped))
        failed = wait_for("it fails", lambda: _failed(api, request_id))
    with working(servers.beside_chroma, folder=servers.folder):
        retried = api.ask("POST", f"/admin/requests/{request_id}/retry", as_admin=True)
        completed = api.completed(request_id)

    assert (failed["attempts"], failed["error"]) == (4, "attempts_exhausted")
    assert retried["status"] == "erasing"
    assert completed["attempts"] == 5


def test_a_request_with_residue_fails_and_is_revived_once_that_is_gone(
    servers: Cluster, api: Api, name: str
) -> None:
    stray = servers.chroma.directory / "stray.bin"
    stray.write_bytes(Identity(PEPPER.encode()).pseudonym(name).encode())

    with working(servers.beside_chroma, folder=servers.folder):
        request_id = api.forget(name)["request_id"]
        failed = wait_for("it fails", lambda: _failed(api, request_id))
        stray.unlink()
        api.ask("POST", f"/admin/requests/{request_id}/retry", as_admin=True)
        completed = api.completed(request_id)

    assert (failed["attempts"], failed["error"]) == (3, "integrity_error")
    assert completed["attempts"] == 4


def test_an_outage_uses_up_no_attempts(servers: Cluster, api: Api, name: str) -> None:
    with working(servers.beside_chroma, folder=servers.folder):
        _seen_by_a_worker(servers)
        with servers.chroma.stopped():
            request_id = api.forget(name)["request_id"]
            wait_for("more attempts", lambda: api.status(request_id)["attempts"] > 4)
            assert api.status(request_id)["error"] == "dependency_unavailable"

        api.completed(request_id)


def _failed(api: Api, request_id: str) -> Json | None:
    found = api.status(request_id)
    return found if found["status"] == "failed" else None


def test_a_worker_that_slept_through_its_lease_changes_nothing(
    servers: Cluster, api: Api, name: str
) -> None:
    """It wakes at the last step, after another has finished and the user has come back."""
    environment = servers.beside_chroma | {"LETHE_FORGET__STOP_AT": "rows:before"}
    with working(environment, folder=servers.folder) as sleeper:
        _seen_by_a_worker(servers)
        request_id = api.forget(name)["request_id"]
        child = wait_for("it stops", sleeper.stopped)
        with working(servers.beside_chroma, folder=servers.folder, beat=False):
            completed = api.completed(request_id)
            _come_back(api, name)
            kill(child, signal.SIGCONT)
            _wait_for_the_log(sleeper, "erasure_lease_lost")

    assert completed["attempts"] == 2
    assert api.status(request_id) == completed
    assert api.recommend(name)["personalised"] is True


def _come_back(api: Api, name: str) -> None:
    rating = {
        "event_id": "again",
        "user": name,
        "item_id": "i00",
        "kind": "rating",
        "value": 5,
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    path = "/interactions"
    assert api.ask("POST", path, json=[rating])["refused"] == 1
    consent = {"at": rating["occurred_at"], "source": "account"}
    answer = api.ask("POST", path, json=[rating | {"renewed_consent": consent}])
    assert answer["accepted"] == 1


def _wait_for_the_log(running: Running, words: str) -> None:
    wait_for(f"the log says {words}", lambda: words in running.text())


def test_an_api_process_away_from_the_files_proves_by_asking_a_worker(
    servers: Cluster, api: Api, name: str
) -> None:
    with working(servers.beside_chroma, folder=servers.folder):
        api.completed(api.forget(name)["request_id"])
        proof = api.ask("POST", "/admin/prove", json={"user": name}, as_admin=True)

    assert proof["as_never_seen"] is True
    assert next(one for one in proof["checks"] if one["claim"] == "bytes")["examined"] > 0
