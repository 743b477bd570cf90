"""OpenAI-compatible servers over HTTP: bounded waiting, bounded answers, our own errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from time import monotonic
from typing import Final

import httpx

from app import tracing
from app.adapters.llm.responses import at, parsed_object
from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.recommendation.prompt import RankingPrompt

MAX_ANSWER_BYTES: Final = 1 << 20
"""An answer over 52 labels is about 10 kB; a server that sends more than this is not one."""
CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
_V1: Final = "/v1"


class LlmRefusedError(RankerError):
    """The server is up and refused the call itself (status 4xx other than 429)."""

    def __init__(self, path: str, *, status: int) -> None:
        """Name the path and the status; the body may quote the prompt and is left out."""
        super().__init__(f"the LLM server refused {path} with status {status}")
        self.status = status


class LlmChannel:
    """The HTTP client and the threads that all calls to servers of a model share.

    A vendor's timeouts bound single reads, so a server that drips its answer would stretch
    them. Calls therefore run on threads of their own and the caller stops waiting at the
    deadline. The threads are also the bulkhead: no more than ``max_connections`` calls are
    under way, and those that wait for a thread past their deadline are never sent.

    Args:
        api_key: bearer token; None sends none.
        max_connections: calls under way at once, >= 1.
        transport: replaces the network, for tests.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        max_connections: int = 16,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            limits=httpx.Limits(max_connections=max_connections),
            transport=transport,
            # Prompts go to the address that was configured, never through a proxy that happens
            # to stand in the environment.
            trust_env=False,
        )
        self._threads = ThreadPoolExecutor(max_connections, thread_name_prefix="llm")

    def submit(
        self, method: str, url: str, *, body: Mapping[str, object] | None, deadline: float
    ) -> Future[bytes]:
        """Begin a call that ends at ``deadline`` (monotonic seconds).

        Raises:
            DependencyUnavailableError: the channel is closed.
        """
        try:
            return self._threads.submit(
                self._exchange,
                method,
                url,
                body=body,
                deadline=deadline,
                headers=tracing.headers(),  # here: a thread of the pool knows of no trace
            )
        except RuntimeError as exc:
            message = "the LLM client is closed"
            raise DependencyUnavailableError(message) from exc

    def close(self) -> None:
        """Drop what waits and close the connections; calls under way end with an error."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _exchange(
        self,
        method: str,
        url: str,
        *,
        body: Mapping[str, object] | None,
        deadline: float,
        headers: Mapping[str, str],
    ) -> bytes:
        left_s = deadline - monotonic()
        if left_s <= 0:
            raise _too_slow()
        try:
            with (
                tracing.span("llm", kind=tracing.SpanKind.CLIENT, after=headers),
                self._client.stream(
                    method, url, json=body, timeout=left_s, headers=tracing.headers()
                ) as response,
            ):
                tracing.note({"http.response.status_code": response.status_code})
                _check_status(response.status_code, path=response.url.path)
                return _read(response, deadline=deadline)
        except httpx.TimeoutException as exc:
            raise _too_slow() from exc
        except httpx.HTTPError as exc:
            message = "the LLM server cannot be reached"
            raise DependencyUnavailableError(message) from exc


class LlmServer:
    """Calls one server with a deadline that holds whatever the server does.

    Args:
        base_url: address with or without a trailing ``/v1``.
        model: name under which the server serves the model.
        channel: shared with other servers.
    """

    def __init__(self, base_url: str, *, model: str, channel: LlmChannel) -> None:
        self.model = model
        self._base_url = base_url.rstrip("/").removesuffix(_V1)
        self._channel = channel

    def get(self, path: str, *, timeout_s: float) -> Mapping[str, object]:
        """Return the JSON object at ``path``; errors as for ``post``."""
        [answer] = self._call("GET", path, bodies=[None], timeout_s=timeout_s)
        return answer

    def post(
        self, path: str, body: Mapping[str, object], *, timeout_s: float
    ) -> Mapping[str, object]:
        """Send ``body`` and return the JSON object answered.

        Args:
            path: from the root, such as ``/v1/chat/completions``.
            body: JSON values.
            timeout_s: total seconds, connecting and waiting for a thread included.

        Raises:
            DependencyUnavailableError: no answer in time, no connection, status 429 or 5xx.
            LlmRefusedError: any other status than 2xx.
            RankerError: the answer is no JSON object, or is too large.
        """
        [answer] = self.post_all(path, [body], timeout_s=timeout_s)
        return answer

    def post_all(
        self, path: str, bodies: Sequence[Mapping[str, object]], *, timeout_s: float
    ) -> list[Mapping[str, object]]:
        """Send all ``bodies`` at once and return what was answered, in their order.

        Args and errors are those of ``post``; the first failure is raised, the rest given up.
        """
        return self._call("POST", path, bodies=bodies, timeout_s=timeout_s)

    def describe_model(self, *, timeout_s: float) -> Mapping[str, object]:
        """Return what the server says of the configured model.

        Raises:
            DependencyUnavailableError: no answer.
            RankerError: it does not serve that model, or refuses to say.
        """
        models = at(self.get("/v1/models", timeout_s=timeout_s), "data")
        for model in models if isinstance(models, list) else []:
            if isinstance(model, Mapping) and model.get("id") == self.model:
                return model
        message = f"the LLM server does not serve the model {self.model!r}"
        raise RankerError(message)

    def _call(
        self,
        method: str,
        path: str,
        *,
        bodies: Sequence[Mapping[str, object] | None],
        timeout_s: float,
    ) -> list[Mapping[str, object]]:
        deadline = monotonic() + timeout_s
        url = f"{self._base_url}{path}"
        futures = [
            self._channel.submit(method, url, body=body, deadline=deadline) for body in bodies
        ]
        try:
            return [
                parsed_object(future.result(timeout=max(deadline - monotonic(), 0)))
                for future in futures
            ]
        except TimeoutError as exc:
            raise _too_slow() from exc
        finally:
            for future in futures:
                future.cancel()


def _too_slow() -> DependencyUnavailableError:
    return DependencyUnavailableError("the LLM server did not answer in time")


def _check_status(status: int, *, path: str) -> None:
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        message = f"the LLM server answered {path} with status {status}"
        raise DependencyUnavailableError(message)
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise LlmRefusedError(path, status=status)


def _read(response: httpx.Response, *, deadline: float) -> bytes:
    answer = bytearray()
    for chunk in response.iter_bytes():
        answer += chunk
        if len(answer) > MAX_ANSWER_BYTES:
            message = "the LLM server's answer is too large"
            raise RankerError(message)
        if monotonic() > deadline:
            raise _too_slow()
    return bytes(answer)


def chat_messages(prompt: RankingPrompt) -> list[dict[str, str]]:
    """Return the messages of ``prompt`` as the API spells them."""
    return [{"role": message.role, "content": message.content} for message in prompt.messages]
