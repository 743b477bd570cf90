"""One suite for every embedder; the remote one speaks to a real HTTP server on loopback."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from app.adapters.embedders.minilm import MiniLMEmbedder
from app.adapters.embedders.openai import OpenAICompatibleEmbedder
from app.adapters.embedders.static import StaticEmbedder
from app.ports.embedder import Embedder
from docs.examples.embedder import HashingEmbedder

TEXTS = [
    "I'm not interested in Harry Potter anymore",
    "Harry Potter and the Sorcerer's Stone (2001)",
    "Die Hard",
    "",
    "A documentary about bread",
    "Die Hard",
]
STRANGE = ["Größenwahn, naïve café", "千と千尋の神隠し", "שלום עולם", "🧁🍞", "\x00\x07", "\ud800"]


class EmbeddingRoute(BaseHTTPRequestHandler):
    """`POST /v1/embeddings` over the static model, as strict as OpenAI's about its input."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = body["input"]
        if self.path != "/v1/embeddings" or not texts or not all(text.strip() for text in texts):
            self.send_error(400)
            return
        rows = enumerate(_static().embed(texts).tolist())
        data = [{"object": "embedding", "index": i, "embedding": row} for i, row in rows]
        answer = json.dumps({"object": "list", "model": body["model"], "data": data[::-1]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        pass


@cache
def _static() -> StaticEmbedder:
    return StaticEmbedder()


@contextmanager
def _remote() -> Iterator[OpenAICompatibleEmbedder]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), EmbeddingRoute)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with closing(
            OpenAICompatibleEmbedder(base_url=url, model="static", dim=256, batch_size=4)
        ) as embedder:
            yield embedder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _local(make: Callable[[], Embedder]) -> Iterator[Embedder]:
    yield make()


@pytest.fixture(
    scope="module",
    params=["static", "example", pytest.param("minilm", marks=pytest.mark.minilm), "openai"],
)
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    makes = {"static": StaticEmbedder, "minilm": MiniLMEmbedder, "example": HashingEmbedder}
    with _remote() if request.param == "openai" else _local(makes[request.param]) as embedder:
        yield embedder


def test_rows_are_unit_vectors_of_the_stated_shape(embedder: Embedder) -> None:
    rows = embedder.embed(TEXTS)

    assert rows.shape == (len(TEXTS), embedder.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_no_rows_when_there_is_no_text(embedder: Embedder) -> None:
    rows = embedder.embed([])

    assert rows.shape == (0, embedder.dim)
    assert rows.dtype == np.float32


def test_same_bits_whatever_else_is_in_the_batch(embedder: Embedder) -> None:
    many = TEXTS * 12 + STRANGE  # more than one batch of every embedder

    together = embedder.embed(many)

    for text, row in zip(many, together, strict=True):
        np.testing.assert_array_equal(embedder.embed([text])[0], row)


def test_blank_texts_give_one_fixed_vector_that_is_near_nothing(embedder: Embedder) -> None:
    empty, spaces, meant = embedder.embed(["", " \n\t", "Harry Potter"])

    np.testing.assert_array_equal(empty, spaces)
    assert abs(float(empty @ meant)) < 0.2


def test_any_unicode_gives_a_unit_vector(embedder: Embedder) -> None:
    rows = embedder.embed(STRANGE)

    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_a_megabyte_of_text_gives_a_unit_vector(embedder: Embedder) -> None:
    (row,) = embedder.embed(["Harry Potter " * 80_000])

    np.testing.assert_allclose(np.linalg.norm(row), 1, atol=1e-6)
    own, other = embedder.embed(["Harry Potter", "Die Hard"])
    assert float(row @ own) > float(row @ other) + 0.3


def test_what_belongs_together_is_nearer(embedder: Embedder) -> None:
    statement, title, stranger = embedder.embed(TEXTS[:3])

    assert float(statement @ title) > 0.4
    assert abs(float(statement @ stranger)) < 0.2


def test_threads_get_what_one_thread_gets(embedder: Embedder) -> None:
    expected = embedder.embed(TEXTS)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: embedder.embed(TEXTS), range(64)))

    for answer in answers:
        np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize(
    "make", [StaticEmbedder, pytest.param(MiniLMEmbedder, marks=pytest.mark.minilm)]
)
def test_two_loads_of_a_model_agree_in_id_and_bits(make: Callable[[], Embedder]) -> None:
    first, second = make(), make()

    assert first.embedder_id == second.embedder_id
    np.testing.assert_array_equal(first.embed(TEXTS), second.embed(TEXTS))
