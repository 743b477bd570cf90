"""The settings of the servers of models; see ``app.settings_groups``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from app.settings_groups import Group, HttpUrl, HttpUrls


class EmbeddingSettings(Group):
    """The embedding server, for the embedder `openai` only."""

    base_url: HttpUrl | None = None
    """OpenAI-compatible address without `/v1`."""
    model: str | None = None
    """Name the server serves the model under."""
    api_key: SecretStr | None = None
    """Sent as bearer token; unset means none."""
    dim: Annotated[int, Field(ge=8, le=8192)] | None = None
    """Dimensions of its vectors; 8 to 8192."""


class LlmSettings(Group):
    """The frozen model that ranks."""

    base_url: HttpUrls | None = None
    """OpenAI-compatible address without `/v1`, such as `http://vllm:8000`; several, separated by
    commas, serve one model and share the work. Unset means ranking without a model."""
    model: str | None = None
    """Name the server serves the model under; required with an address."""
    api_key: SecretStr | None = None
    """Sent as bearer token; unset means none."""
    mode: Literal["auto", "one_pass", "json", "likelihood"] = "auto"
    """How a ranking is asked for. `one_pass`: one token, masked to the candidates' labels (vLLM);
    `json`: scores as JSON, for other servers, several times slower; `likelihood`: how much
    likelier a title is after those that the user likes. `auto` decides between `one_pass` and
    `json` when the server is first reached."""
    language: Literal["en", "de"] = "en"
    """Language of the prompt's wording. Titles and people's words are shown as they are."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Seconds an answer may take before the order without the model is served; 0 to 60."""
    explain_items: Annotated[int, Field(ge=1, le=20)] = 5
    """Items of an answer that get a reason at most, where a caller asks for reasons; 1 to 20."""
    explain_timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds such an answer may take more before it goes out without reasons; 0 to 120."""
    weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the model's order in lists that rest on what a user did; 0 (it is not asked) to 1
    (alone). Measure before raising it: a small model at 0.3 made the lists .074 NDCG worse."""
    query_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The same for lists that rest on what a user asks for in words; the model is then asked how
    likely the words are after each candidate's text. Beside words in common a small one added
    nothing; `lethe llm calibrate` tells what yours is worth, and sets both."""
    must_read: bool = True
    """Whether a model orders lists only after it has shown that it reads: lists of the catalogue
    in two shuffles have to give one order of items. `false` is for tests of the protocol."""
    candidates: Annotated[int, Field(ge=2, le=500)] = 50
    """Candidates that the model ranks; 2 to 500."""
    window: Annotated[int, Field(ge=2, le=52)] = 52
    """Label batch: candidates shown to the model at once; 2 to 52, the one-letter labels. More are
    ranked in several batches at once. The server's `--max-logprobs` must be at least this."""
    cool_down_s: Annotated[float, Field(ge=0.1, le=600)] = 10.0
    """Seconds until a server that failed three times in a row is tried again; 0.1 to 600."""
    ttl_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """Seconds an answer may be repeated to the same user; 0 keeps none. A forget erases them."""
    memory_tokens: Annotated[int, Field(ge=50, le=8000)] = 800
    """Most tokens of the served model that a person's memories take in a prompt; 50 to 8000."""
    max_connections: Annotated[int, Field(ge=1, le=1024)] = 16
    """Connections this process holds to all servers at most."""
    max_running: Annotated[int, Field(ge=1, le=1024)] = 16
    """Rankings this process asks for at once; the next ones wait in line."""
    max_waiting: Annotated[int, Field(ge=0, le=10_000)] = 64
    """Rankings that wait in line at most; whoever comes then gets the order without the model at
    once. Waiting counts as part of `LETHE_LLM__TIMEOUT_S`."""
