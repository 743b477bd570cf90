"""The compose file and the image, as far as they can be checked without a container engine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from app.settings import check_binding, environment_names, load_settings
from tests.servers.compose import ROOT, compose_file, image_environment, interpolated

COMPOSE: Final[dict[str, Any]] = compose_file()
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()
NEW_ENV: Final = ROOT / ".ci" / "new-env"
STORES: Final = ("postgres", "vault", "redis", "chroma", "vllm-gpu", "vllm-cpu")
OURS: Final = ("api", "worker", "beat", "migrate", "chroma")


@pytest.fixture(scope="module")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("env")
    subprocess.run([str(NEW_ENV)], cwd=folder, check=True, capture_output=True)
    return folder / ".env"


@pytest.fixture
def dotenv(env_file: Path) -> dict[str, str]:
    lines = env_file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_every_lethe_variable_is_a_setting() -> None:
    known = {name for name, _ in environment_names()}
    used = {name for service in SERVICES.values() for name in service.get("environment", {})}
    used |= image_environment().keys()

    assert {name for name in used if name.startswith("LETHE_")} - known == set()
    assert "LETHE_PEPPER" in used


@pytest.mark.parametrize("service", ["api", "worker", "beat", "migrate"])
def test_service_starts_with_what_make_env_writes(
    monkeypatch: pytest.MonkeyPatch, dotenv: dict[str, str], service: str
) -> None:
    environment = image_environment() | {
        name: interpolated(value, variables=dotenv)
        for name, value in SERVICES[service]["environment"].items()
    }
    for name, value in environment.items():
        if name.startswith("LETHE_"):
            monkeypatch.setenv(name, value)

    settings = load_settings()

    assert settings.is_production
    assert settings.queue == "celery"
    assert dotenv["SERVICE_PASSWORD"] in settings.database_url
    assert dotenv["VAULT_PASSWORD"] in settings.vault_url
    check_binding(settings, host=settings.api.host)


def test_compose_refuses_to_start_without_secrets() -> None:
    with pytest.raises(KeyError, match="LETHE_PEPPER"):
        interpolated(SERVICES["api"]["environment"]["LETHE_PEPPER"], variables={})


def test_secrets_are_private_and_never_overwritten(env_file: Path) -> None:
    before = env_file.read_bytes()

    again = subprocess.run([str(NEW_ENV)], cwd=env_file.parent, check=False, capture_output=True)

    assert again.returncode == 1
    assert env_file.read_bytes() == before
    assert env_file.stat().st_mode & 0o777 == 0o600


def test_only_the_api_is_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"api": ["127.0.0.1:${PORT:-8000}:8000"]}


@pytest.mark.parametrize("service", STORES)
def test_store_is_on_the_network_without_a_way_out(service: str) -> None:
    assert list(SERVICES[service]["networks"]) == ["private"]
    assert COMPOSE["networks"]["private"] == {"internal": True}


@pytest.mark.parametrize("service", ["api", *STORES])
def test_server_has_a_healthcheck(service: str) -> None:
    check = SERVICES[service].get("healthcheck")

    assert check or (service == "api" and "HEALTHCHECK" in DOCKERFILE)


@pytest.mark.parametrize("service", OURS)
def test_our_containers_can_do_nothing_they_need_not(service: str) -> None:
    assert SERVICES[service]["read_only"] is True
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES[service]["security_opt"]


def test_image_does_not_run_as_root() -> None:
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", DOCKERFILE, re.MULTILINE)


def test_every_image_is_pinned_to_a_version() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    images = [service["image"] for service in SERVICES.values()] + bases

    loose = [image for image in images if not re.search(r":v?\d+\.\d+", image)]
    assert loose == []


def test_writer_of_chroma_files_fills_freed_memory() -> None:
    assert SERVICES["chroma"]["environment"]["MALLOC_PERTURB_"] == "165"
    assert image_environment()["MALLOC_PERTURB_"] == "165"


def test_redis_evicts_nothing_and_keeps_nothing() -> None:
    command = SERVICES["redis"]["command"]

    assert command[1:3] == ["--maxmemory-policy", "noeviction"]
    assert command[3:5] == ["--save", ""]


@pytest.mark.parametrize("service", ["vllm-gpu", "vllm-cpu"])
def test_model_server_gives_the_window_its_logprobs_and_logs_no_prompt(service: str) -> None:
    command = SERVICES[service]["command"]
    window = dict(environment_names())["LETHE_LLM__WINDOW"]
    most = next(int(bound.le) for bound in window.metadata if hasattr(bound, "le"))

    (allowed,) = [part.split("=")[1] for part in command if part.startswith("--max-logprobs=")]
    assert int(allowed) >= most
    assert "--no-enable-log-requests" in command


def test_image_gets_only_what_it_is_built_from() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)

    assert "*" in ignored
    assert {name for line in copied for name in line.split()} == kept


@pytest.mark.parametrize("service", ["postgres", "vault"])
def test_database_servers_remove_their_old_log(service: str) -> None:
    assert "-cwal_recycle=off" in SERVICES[service]["command"]
