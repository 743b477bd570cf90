"""A real vLLM for tests and benchmarks: one that runs already, or one started from .venv-vllm.

Tests get the model that ``benchmarks/models/tiny_llm.py`` makes: random weights. Whatever that
ranks proves the protocol and nothing about quality. What needs a model that has learned
something gets the one that ``benchmarks/models/smollm2.py`` makes, which is small and real.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.servers import ServerMissingError, beyond_path
from tests.servers.ports import free_port

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = ROOT / ".venv-vllm" / "bin" / "python"
MODEL: Final = "tiny"
REAL: Final = "smollm2"
REAL_MODEL: Final = ROOT / ".make" / REAL
START_TIMEOUT_S: Final = 240.0
STOP_TIMEOUT_S: Final = 20.0
MAX_TINY_TOKENS: Final = 16_384
"""The tiny vocabulary takes about three times the tokens of a real one for a full prompt."""
MAX_MODEL_TOKENS: Final = 8_192


@dataclass(frozen=True, slots=True)
class VllmServer:
    """Where it listens, and the name of the model it serves."""

    base_url: str
    model: str


@contextmanager
def vllm_server(
    folder: Path, *, model: str | None = None, context_tokens: int | None = None
) -> Iterator[VllmServer]:
    """Give the server at ``LETHE_TEST_VLLM_URL`` if it answers, else one started for the time.

    Args:
        folder: empty, for model, caches and log of a server started here.
        model: ``tiny`` or ``smollm2``; None for any, and where one is started for the tiny one.
        context_tokens: read at once; with a number always a server started here, and None for
            what the largest prompt needs.

    Raises:
        ServerMissingError: neither is there.
        RuntimeError: the started one does not come up.
    """
    url = os.environ.get("LETHE_TEST_VLLM_URL", "").rstrip("/").removesuffix("/v1")
    served = _served_models(url) if url and context_tokens is None else []
    if served and (model is None or model in served):
        yield VllmServer(url, model or served[0])
        return
    if beyond_path([PYTHON]) is None:
        raise ServerMissingError("vLLM is not installed (make setup-vllm)")
    made = made_model(folder, model or MODEL)
    with _started(folder, model=made, context_tokens=context_tokens) as server:
        yield server


def _served_models(url: str) -> list[str]:
    try:
        answer = httpx.get(f"{url}/v1/models", timeout=5, trust_env=False)
    except httpx.HTTPError:
        return []
    return [model["id"] for model in answer.json()["data"]] if answer.is_success else []


@contextmanager
def _started(folder: Path, *, model: Path, context_tokens: int | None) -> Iterator[VllmServer]:
    log_path = folder / "vllm.log"
    environment = server_environment(folder)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            server_command(model, port=port, context_tokens=context_tokens),
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its worker processes stop with it
        )
    try:
        _wait_until_up(process, url=url, log_path=log_path)
        yield VllmServer(url, model.name)
    finally:
        _stop(process)


def made_model(folder: Path, name: str) -> Path:
    """Return the folder of a model, made on the spot; the real one is downloaded once."""
    model = REAL_MODEL if name == REAL else folder / name
    script = "benchmarks.models.smollm2" if name == REAL else "benchmarks.models.tiny_llm"
    make_model = [str(PYTHON), "-m", script, "--out", str(model)]
    environment = server_environment(folder)
    subprocess.run(make_model, cwd=ROOT, env=environment, check=True, capture_output=True)
    return model


def server_command(model: Path, *, port: int, context_tokens: int | None = None) -> Sequence[str]:
    """Return the command line; on a GPU the same flags go to the ordinary package."""
    largest = MAX_TINY_TOKENS if model.name == MODEL else MAX_MODEL_TOKENS
    return [
        str(PYTHON),
        *("-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--served-model-name", model.name),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", number_format(), "--max-model-len", str(context_tokens or largest)),
        *("--max-logprobs", "64", "--enforce-eager", "--enable-prompt-tokens-details"),
        "--no-enable-log-requests",
        "--structured-outputs-config",
        '{"backend": "xgrammar", "disable_any_whitespace": true}',
    ]


def number_format() -> str:
    """Return the number format that this processor is fast in.

    Without AVX-512 or AMX bfloat16 is emulated: ten times slower than float32 was measured.
    """
    info = Path("/proc/cpuinfo")
    flags = info.read_text(encoding="utf-8") if info.is_file() else ""
    return "bfloat16" if "avx512" in flags or "amx" in flags else "float32"


def server_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which a vLLM writes below ``folder`` and calls nobody."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
        # Else vLLM keeps a core for itself and ties its threads to the others, as many as those
        # are: of two cores it reads with one, and waits there while something else has it.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "TOKENIZERS_PARALLELISM": "false",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_HOST_IP": "127.0.0.1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }


def _wait_until_up(process: "subprocess.Popen[bytes]", *, url: str, log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _served_models(url):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-30:])
            message = f"the vLLM server did not come up:\n{tail}"
            raise RuntimeError(message)
        time.sleep(0.5)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the whole process group: vLLM's engine and workers are processes of their own."""
    for stop in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, stop)
            process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return
