"""The worked examples of ``docs/extending.md``; store and embedder pass their suites, too."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from app.adapters.probe.process import FileProbe
from app.adapters.probe.stores import ProbedStore, StoreFormat
from app.services.ingestion.dataset_loader import LoadWatcher
from docs.examples.loader import AmazonReviews
from docs.examples.ranker import RerankServer
from docs.examples.store import SqliteMemoryStore
from tests.contract.ranker_suite import RankerSuite, ranking_task
from tests.planted import IN_CHROMA, a_user, an_order, memories_of, needles_of
from tests.world import open_world


def test_the_store_leaves_nothing_on_disk_and_the_probe_would_have_found_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "memories.db"
    mine, canary = memories_of(a_user(), n=40), memories_of(a_user(), n=1)
    probe = FileProbe([ProbedStore("memory", StoreFormat.SQLITE, path, IN_CHROMA)])
    needles, control = needles_of(mine), needles_of(canary)
    with closing(SqliteMemoryStore(path)) as store:
        store.add([*mine, *canary])
        ((before,),) = probe.search([needles], control=control)
        store.erase(an_order(mine))
        store.maintain([mine[0].pseudonym])
        ((after,),) = probe.search([needles], control=control)

    assert before.residue > 0
    assert (after.control_found, after.residue) == (True, 0)


class Reranks(BaseHTTPRequestHandler):
    """A server of the kind that the example asks; it scores by shared words."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = set(re.findall(r"\w+", asked["query"]))
        time.sleep(0.01)  # a model takes its time
        results = [
            {"index": at, "relevance_score": len(words & set(re.findall(r"\w+", text))) - at / 1e6}
            for at, text in enumerate(asked["documents"])
        ]
        answer = json.dumps({"results": results[::-1], "usage": {"total_tokens": 7}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Reranks) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class TestRanker(RankerSuite):
    @pytest.fixture
    def cold(self, url: str) -> RerankServer:
        return RerankServer(url, model="a-cross-encoder")

    def test_names_the_wording_it_asked_in(self, ranker: RerankServer) -> None:  # type: ignore[override] # the same
        assert ranker.rank(self.task()).prompt_id == "rerank-1"

    def test_it_counts_tokens(self, ranker: RerankServer) -> None:  # type: ignore[override] # the same
        assert ranker.rank(self.task()).prompt_tokens == 7  # and generates none

    def test_it_prefers_what_the_user_speaks_of(self, ranker: RerankServer) -> None:
        scores = ranker.rank(ranking_task(4, memories=("I like 3 best",))).log_probabilities

        assert max(scores, key=lambda one: scores[one]) == "i3"


def test_the_loader_reads_products_and_reviews_and_says_what_it_cannot_read(
    tmp_path: Path,
) -> None:
    meta = {"parent_asin": "B1", "title": "Tea kettle", "price": 29.0, "store": "Kettles"}
    review = {"user_id": "AE1", "parent_asin": "B1", "rating": 5.0, "text": "Boils."}
    files = {
        "meta.jsonl": [meta, meta | {"parent_asin": "B2", "price": {"no": "price"}}],
        "reviews.jsonl": [review | {"timestamp": 1_600_000_000_000}, review | {"timestamp": "x"}],
    }
    for name, rows in files.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    told: list[str] = []
    watcher = LoadWatcher(
        moved=lambda *_: None,
        refused=lambda line: told.append(f"{line.file}:{line.line}"),
        left_out=lambda line: told.append(f"{line.file}:{line.line}"),
    )
    dataset = AmazonReviews(tmp_path, now=datetime.now(UTC))

    with open_world(tmp_path / "data") as world:
        first = world.container.load.load(dataset, name="amazon", watcher=watcher)
        again = world.container.load.load(dataset, name="amazon", watcher=watcher)

    assert (first.items, first.left_out, first.accepted, first.bad) == (2, 1, 1, 1)
    assert (again.accepted, again.duplicate) == (0, 1)
    assert told[:2] == ["meta.jsonl:2", "reviews.jsonl:2"]
