"""A stand-in for a server: it replays what a real vLLM answered."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

import httpx

from app.adapters.llm.client import LlmChannel, LlmServer
from tests.servers.record_llm_answers import ANSWERS

SAVED: dict[str, dict[str, Any]] = json.loads(ANSWERS.read_text(encoding="utf-8"))
Respond = Callable[[httpx.Request], httpx.Response]
_FASTEST_S: Final = 0.001
"""Whoever waits less has no answer from any server; this one would be there at once."""


def saved(name: str) -> httpx.Response:
    return httpx.Response(SAVED[name]["status"], json=SAVED[name]["body"])


def replaying(name: str) -> Respond:
    """Answer what was saved under ``name``, whatever is asked."""
    return lambda _: saved(name)


def edited(name: str, *path: str | int, to: object) -> Respond:
    """Answer what was saved under ``name`` with one value changed."""
    body = copy.deepcopy(SAVED[name]["body"])
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    # NaN and infinity are no JSON, but a server may write them all the same.
    return lambda _: httpx.Response(200, content=json.dumps(body).encode())


class Replay:
    """A vLLM that answers what the real one did; ``chat`` and ``completions`` replace routes."""

    def __init__(self, chat: Respond | None = None, *, is_vllm: bool = True) -> None:
        self.chat = chat
        self.completions: Respond | None = None
        self.is_vllm = is_vllm
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        told = request.extensions.get("timeout", {})  # none where it came over a real connection
        if told.get("read", 1.0) < _FASTEST_S:
            raise httpx.ReadTimeout("no server is as fast")
        if request.url.path == "/v1/models":
            return self._models()
        body = json.loads(request.content)
        if request.url.path == "/tokenize":
            return saved("tokenize") if self.is_vllm else httpx.Response(404)
        self.bodies.append(body)
        if request.url.path == "/v1/completions":
            return self.completions(request) if self.completions else self._likelihoods(body)
        return self.chat(request) if self.chat else self._rank(body)

    def _models(self) -> httpx.Response:
        body = copy.deepcopy(SAVED["models"]["body"])
        body["data"][0]["owned_by"] = "vllm" if self.is_vllm else "someone"
        return httpx.Response(200, json=body)

    def _likelihoods(self, body: dict[str, Any]) -> httpx.Response:
        """Answer with as many of the saved prompts as were sent, from the first again."""
        if not self.is_vllm:
            return httpx.Response(404)
        answer = copy.deepcopy(SAVED["likelihood_4"]["body"])
        choices = answer["choices"]
        answer["choices"] = [
            choices[place % len(choices)] | {"index": place} for place in range(len(body["prompt"]))
        ]
        answer["usage"]["prompt_tokens"] *= len(body["prompt"]) / len(choices)
        answer["usage"]["prompt_tokens"] = int(answer["usage"]["prompt_tokens"])
        return httpx.Response(200, json=answer)

    def _rank(self, body: dict[str, Any]) -> httpx.Response:
        if not self.is_vllm and body.keys() & {"structured_outputs", "cache_salt"}:
            return httpx.Response(400, json={"error": "unknown field"})
        if "structured_outputs" in body:
            return saved(f"one_pass_{len(body['structured_outputs']['choice'])}")
        schema = body["response_format"]["json_schema"]["schema"]
        return saved(f"json_{len(schema['required'])}")

    def server(self, model: str = "tiny") -> LlmServer:
        return replaying_server(self, model=model)


class _ManyAtOnce(ThreadingHTTPServer):
    """Lets as many wait as a client may ask at once; the standard library resets the sixth."""

    request_queue_size = 128
    block_on_close = False  # connections are kept open by the client


@contextmanager
def served(replay: Respond) -> Iterator[str]:
    """Answer over real HTTP on the loopback interface; give the address."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            answer = replay(httpx.Request(self.command, f"{url}{self.path}", content=content))
            self.send_response(answer.status_code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    with _ManyAtOnce(("127.0.0.1", 0), Answers) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield url
        finally:
            server.shutdown()
            thread.join()


def replaying_server(respond: Respond, *, model: str = "tiny") -> LlmServer:
    """Return a server whose network is ``respond``."""
    channel = LlmChannel(transport=httpx.MockTransport(respond))
    return LlmServer("http://llm", model=model, channel=channel)
