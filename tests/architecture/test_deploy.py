"""The compose file and the image, as far as they can be checked without a container engine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from app.settings import check_binding, environment_names, load_settings
from tests.servers.compose import (
    ROOT,
    SECRETS,
    compose_file,
    image_environment,
    interpolated,
    services,
)

COMPOSE: Final[dict[str, Any]] = compose_file()
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()
NEW_ENV: Final = ROOT / ".ci" / "new-env"
STORES: Final = ("postgres", "vault", "redis", "chroma", "vllm-gpu", "vllm-cpu")
OURS: Final = ("api", "worker", "beat", "migrate", "chroma")
PROFILES: Final = frozenset({"gpu", "cpu"})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``make env`` was called."""
    folder = tmp_path_factory.mktemp("env")
    subprocess.run([str(NEW_ENV)], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def dotenv(written: Path) -> dict[str, str]:
    lines = (written / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_every_lethe_variable_is_a_setting() -> None:
    known = {name for name, _ in environment_names()}
    used = {name for service in SERVICES.values() for name in service.get("environment", {})}
    used |= image_environment().keys()

    assert {name for name in used if name.startswith("LETHE_")} - known == set()
    assert "LETHE_SECRETS_DIR" in used


@pytest.mark.parametrize("service", ["api", "worker", "beat", "migrate"])
def test_service_starts_with_what_make_env_writes(
    monkeypatch: pytest.MonkeyPatch,
    written: Path,
    dotenv: dict[str, str],
    tmp_path: Path,
    service: str,
) -> None:
    wanted = services(variables=dotenv, profiles=frozenset())[service]
    for name, value in wanted.environment.items():
        if name.startswith("LETHE_"):
            monkeypatch.setenv(name, value)
    for name in wanted.secrets:
        (tmp_path / name).write_bytes((written / "secrets" / name).read_bytes())
    assert wanted.environment["LETHE_SECRETS_DIR"] == SECRETS
    monkeypatch.setenv("LETHE_SECRETS_DIR", str(tmp_path))

    settings = load_settings()

    assert settings.is_production
    assert settings.queue == "celery"
    assert (written / "secrets" / "VAULT_PASSWORD").read_text() in settings.vault_url
    check_binding(settings, host=settings.api.host)


def test_make_env_writes_every_secret_that_compose_mounts(written: Path) -> None:
    mounted = {name for service in SERVICES.values() for name in service.get("secrets", ())}

    assert mounted == COMPOSE["secrets"].keys()
    assert {one.name for one in (written / "secrets").iterdir()} == mounted


def test_no_secret_is_in_an_environment_or_a_command_line(
    written: Path, dotenv: dict[str, str]
) -> None:
    secrets = {one.name: one.read_text() for one in (written / "secrets").iterdir()}
    secret_settings = {
        name for name, field in environment_names() if "SecretStr" in str(field.annotation)
    }

    for name, service in services(variables=dotenv, profiles=PROFILES).items():
        assert secret_settings.isdisjoint(service.environment), name
        check = service.health.command if service.health else ()
        said = "\n".join([*service.environment.values(), *service.command, *check])
        assert [one for one, value in secrets.items() if value in said] == [], name
        assert not re.search(r"(?i)(password|token|key|pepper)\w*[=:] *[\w-]{8}", said), name


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_migration_has_the_owners_address(service: str) -> None:
    assert ("LETHE_DATABASE__OWNER_URL" in SERVICES[service].get("secrets", ())) == (
        service == "migrate"
    )


def test_compose_refuses_to_start_without_the_name_of_the_log() -> None:
    with pytest.raises(KeyError, match="LETHE_AUDIT__ORIGIN"):
        interpolated(SERVICES["api"]["environment"]["LETHE_AUDIT__ORIGIN"], variables={})


def test_secrets_are_private_and_never_overwritten(written: Path) -> None:
    def kept() -> dict[Path, bytes]:
        return {one: one.read_bytes() for one in written.rglob("*") if one.is_file()}

    before = kept()

    again = subprocess.run([str(NEW_ENV)], cwd=written, check=False, capture_output=True)

    assert again.returncode == 1
    assert kept() == before
    assert (written / ".env").stat().st_mode & 0o777 == 0o600
    assert (written / "secrets").stat().st_mode & 0o777 == 0o700


def test_secrets_of_an_env_file_of_before_are_moved_into_files(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "LETHE_PEPPER=as-it-was\nREDIS_PASSWORD=queue\nLETHE_AUDIT__ORIGIN=its-name\nPORT=1\n"
    )

    subprocess.run([str(NEW_ENV)], cwd=tmp_path, check=True, capture_output=True)

    assert (tmp_path / "secrets" / "LETHE_PEPPER").read_text() == "as-it-was"
    assert (tmp_path / "secrets" / "LETHE_REDIS__URL").read_text() == "redis://:queue@redis:6379/0"
    assert (tmp_path / ".env").read_text() == "LETHE_AUDIT__ORIGIN=its-name\nPORT=1\n"


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


@pytest.mark.parametrize("service", SERVICES)
def test_containers_can_do_nothing_they_need_not(service: str) -> None:
    assert SERVICES[service]["read_only"] is True
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES[service]["security_opt"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_bounds(service: str) -> None:
    limits = SERVICES[service]["deploy"]["resources"]["limits"]

    assert limits.keys() == {"memory", "pids"}


@pytest.mark.parametrize("service", ["postgres", "vault", "redis"])
def test_servers_of_third_parties_do_not_run_as_root(service: str) -> None:
    assert SERVICES[service]["user"] == "999:999"


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
    options = command[command.index("redis-server") + 1 :]

    assert dict(zip(options[::2], options[1::2], strict=True)) == {
        "--maxmemory-policy": "noeviction",
        "--save": "",
        "--appendonly": "no",
    }


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


def test_the_server_of_rows_takes_the_locks_of_every_partition() -> None:
    assert "-cmax_locks_per_transaction=256" in SERVICES["postgres"]["command"]
