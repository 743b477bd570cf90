"""What is traced of requests and of erasures, and that it says nothing of anybody."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from tests.e2e.calls import calling, user
from tests.e2e.cluster import cluster
from tests.e2e.processes import serving, wait_for, working
from tests.servers.postgres import PostgresServer

CALLER: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector(TraceServiceServicer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []

    def Export(  # noqa: N802 - gRPC's name
        self, request: ExportTraceServiceRequest, _context: object
    ) -> ExportTraceServiceResponse:
        self.requests.append(request)
        return ExportTraceServiceResponse()

    def spans(self) -> dict[str, Any]:
        """Return the first span of each name, with its process's role."""
        found: dict[str, Any] = {}
        for request in self.requests:
            for process in request.resource_spans:
                role = {one.key: one.value.string_value for one in process.resource.attributes}
                for scope in process.scope_spans:
                    for one in scope.spans:
                        found.setdefault(one.name, (one, role["lethe.role"]))
        return found


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """Give a collector and its address."""
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call] # generated
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        server.stop(grace=None)


def test_requests_and_erasures_are_traced_and_nobody_is_named(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    with (
        collecting() as (collector, address),
        cluster(
            postgres_server,
            folder=tmp_path,
            settings={"LETHE_LOG__TRACES": address, "OTEL_BSP_SCHEDULE_DELAY": "200"},
        ) as servers,
        serving(servers.environment, folder=tmp_path) as api,
        working(servers.beside_chroma, folder=tmp_path),
        calling(api.url) as asked,
    ):
        asked.load([1, 2, 3])
        asked.recommend(user(1))
        said = asked.ask(
            "POST",
            "/forget",
            json={"user": user(1), "scope": {"kind": "all"}},
            headers={"traceparent": CALLER},
        )
        asked.completed(said["request_id"])
        wait_for("the work is told of", lambda: "forget.run" in collector.spans() or None)
        spans = collector.spans()

    listed, _ = spans["GET /recommend/{user:path}"]
    (forget, role), (run, worker), (step, _) = (
        spans[name] for name in ("POST /forget", "forget.run", "erase rows")
    )
    assert (role, worker) == ("api", "worker")
    assert forget.trace_id.hex() in CALLER
    assert forget.parent_span_id.hex() in CALLER
    assert {one.key: one.value.string_value for one in run.attributes} == {
        "lethe.erasure": said["request_id"]
    }
    assert (step.trace_id, step.parent_span_id) == (run.trace_id, run.span_id)
    assert any(one.key.startswith("lethe.ms.") for one in listed.attributes), listed
    sent = b"".join(one.SerializeToString() for one in collector.requests)
    assert user(1).encode() not in sent
    assert b"traceparent" not in sent
