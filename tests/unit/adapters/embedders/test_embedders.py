"""What each embedder promises beyond the port: whole files, no torch, no leak, no wrong vector."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from app.adapters.embedders.minilm import MiniLMEmbedder
from app.adapters.embedders.openai import OpenAICompatibleEmbedder
from app.adapters.embedders.static import PACKAGED_MODEL, StaticEmbedder
from app.domain.errors import DependencyUnavailableError, IntegrityError

SECRET = "my-secret-taste"


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACKAGED_MODEL, tmp_path / "copied-model"))


def test_static_id_names_the_directory_and_its_digests() -> None:
    sums = hashlib.sha256((PACKAGED_MODEL / "SHA256SUMS").read_bytes()).hexdigest()

    assert StaticEmbedder().embedder_id == f"static-minilm-256@{sums[:12]}"


def test_packaged_model_is_below_ten_megabytes() -> None:
    assert sum(file.stat().st_size for file in PACKAGED_MODEL.iterdir()) < 10_000_000


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_static_refused_when_one_bit_differs(model_dir: Path, name: str) -> None:
    content = bytearray((model_dir / name).read_bytes())
    content[len(content) // 2] ^= 1
    (model_dir / name).write_bytes(content)

    with pytest.raises(IntegrityError, match="differ from their SHA256SUMS"):
        StaticEmbedder(model_dir)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "config.json", "SHA256SUMS"]
)
def test_static_refused_when_a_file_is_missing(model_dir: Path, name: str) -> None:
    (model_dir / name).unlink()

    with pytest.raises(IntegrityError, match="missing or unreadable"):
        StaticEmbedder(model_dir)


@pytest.mark.parametrize("kept", [0, 2])
def test_static_refused_when_the_sums_leave_a_file_out(model_dir: Path, kept: int) -> None:
    sums = model_dir / "SHA256SUMS"
    sums.write_text("".join(sums.read_text().splitlines(keepends=True)[:kept]))

    with pytest.raises(IntegrityError, match="differ from their SHA256SUMS"):
        StaticEmbedder(model_dir)


def test_static_needs_neither_torch_nor_network() -> None:
    script = """
import sys
def refuse(event, args):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        raise SystemExit(f"network: {event}")
sys.addaudithook(refuse)
from app.adapters.embedders.static import StaticEmbedder
assert StaticEmbedder().embed(["Harry Potter"]).any()
assert not {"torch", "transformers", "sentence_transformers"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_unknown_word_pieces_only_are_as_blank() -> None:
    blank, emoji = StaticEmbedder().embed(["", "🧁"])

    np.testing.assert_array_equal(emoji, blank)


def test_minilm_says_what_to_install_when_the_library_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)

    with pytest.raises(DependencyUnavailableError, match=r"pip install 'lethe\[minilm\]'"):
        MiniLMEmbedder(model_dir=tmp_path)


def test_minilm_refused_when_the_directory_has_no_weights(tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailableError, match=r"no model\.safetensors"):
        MiniLMEmbedder(model_dir=tmp_path)


@dataclass
class ScriptedServer:
    """Answers every request with what `answer` makes of the texts, and keeps the requests."""

    answer: Callable[[list[str]], tuple[int, bytes]] = lambda texts: (200, _vectors(texts))
    delay_s: float = 0.0
    bodies: list[dict[str, object]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


def _vectors(texts: list[str]) -> bytes:
    data = [{"index": i, "embedding": [3.0, 4.0, 0.0]} for i in range(len(texts))]
    return json.dumps({"data": data}).encode()


def _data(*entries: object) -> bytes:
    return json.dumps({"data": entries}).encode()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()

    class Route(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            scripted.bodies.append(body)
            scripted.headers.append({"path": self.path, **dict(self.headers)})
            time.sleep(scripted.delay_s)
            status, answer = scripted.answer(body["input"])
            self.send_response(status)
            self.send_header("Location", scripted.url)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Route)
    httpd.daemon_threads = False  # so that closing waits for the slow answer
    scripted.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield scripted
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def remote(server: ScriptedServer) -> Iterator[OpenAICompatibleEmbedder]:
    with closing(_client(server.url)) as embedder:
        yield embedder


def _client(url: str, *, timeout_s: float = 5.0, api_key: str = "k-1") -> OpenAICompatibleEmbedder:
    return OpenAICompatibleEmbedder(
        base_url=url,
        model="e5",
        dim=3,
        api_key=api_key,
        timeout_s=timeout_s,
        batch_size=2,
        max_text_chars=20,
    )


def test_server_gets_key_model_and_batches_without_blanks(
    server: ScriptedServer, remote: OpenAICompatibleEmbedder
) -> None:
    rows = remote.embed(["a", "", "b", "c", "x" * 50])

    np.testing.assert_allclose(rows[0], [0.6, 0.8, 0.0], atol=1e-7)
    np.testing.assert_array_equal(rows[1], [0, 0, 1])
    assert [body["input"] for body in server.bodies] == [["a", "b"], ["c", "x" * 20]]
    assert {body["model"] for body in server.bodies} == {"e5"}
    assert {sent["Authorization"] for sent in server.headers} == {"Bearer k-1"}
    assert remote.embedder_id == "openai:e5:3"


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_address_may_name_the_version_or_not(server: ScriptedServer, suffix: str) -> None:
    with closing(_client(server.url + suffix, api_key="")) as embedder:
        embedder.embed(["a"])

    assert server.headers[0]["path"] == "/v1/embeddings"
    assert "Authorization" not in server.headers[0]


def test_rows_follow_the_index_when_the_server_answers_out_of_order(
    server: ScriptedServer, remote: OpenAICompatibleEmbedder
) -> None:
    late = {"index": 1, "embedding": [0, 2, 0]}
    server.answer = lambda _: (200, _data(late, {"index": 0, "embedding": [5, 0, 0]}))

    np.testing.assert_array_equal(remote.embed(["a", "b"]), [[1, 0, 0], [0, 1, 0]])


WRONG_ANSWERS = {
    "server error": (500, SECRET.encode()),
    "bad key": (401, b"{}"),
    "too many": (429, b"{}"),
    "redirect": (302, b""),
    "no JSON": (200, SECRET.encode()),
    "no data": (200, json.dumps({"error": SECRET}).encode()),
    "a list": (200, b"[]"),
    "none": (200, _data()),
    "two for one": (200, _vectors(["", ""])),
    "same index": (200, _data({"index": 1, "embedding": [1, 0, 0]})),
    "wrong dimension": (200, _data({"index": 0, "embedding": [1, 0]})),
    "a number": (200, _data({"index": 0, "embedding": 1})),
    "words": (200, _data({"index": 0, "embedding": [SECRET, 0, 0]})),
    "null": (200, _data({"index": 0, "embedding": [None, 1, 0]})),
    "not a number": (200, _data({"index": 0, "embedding": [float("nan"), 0, 0]})),
    "too large": (200, _data({"index": 0, "embedding": [1e308, 1e308, 0]})),
    "too large an integer": (200, _data({"index": 0, "embedding": [10**400, 0, 0]})),
    "zero": (200, _data({"index": 0, "embedding": [0, 0, 0]})),
}


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_wrong_answer_is_our_error_and_quotes_nothing(
    server: ScriptedServer, remote: OpenAICompatibleEmbedder, name: str
) -> None:
    server.answer = lambda _: WRONG_ANSWERS[name]

    with pytest.raises(DependencyUnavailableError) as caught:
        remote.embed([SECRET])

    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    assert "k-1" not in told
    assert len(server.bodies) == 1


def test_unavailable_when_the_server_is_slow(server: ScriptedServer) -> None:
    server.delay_s = 0.5

    with (
        closing(_client(server.url, timeout_s=0.1)) as embedder,
        pytest.raises(DependencyUnavailableError, match="ReadTimeout"),
    ):
        embedder.embed(["a"])


def test_unavailable_when_nobody_listens() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as free:
        port = free.server_port

    with (
        closing(_client(f"http://127.0.0.1:{port}")) as embedder,
        pytest.raises(DependencyUnavailableError, match="ConnectError"),
    ):
        embedder.embed(["a"])
