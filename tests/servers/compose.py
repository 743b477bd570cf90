"""What ``docker-compose.yml`` and the ``Dockerfile`` say is to run, as values.

They alone describe the distributed layout. ``tests/servers/layout.py`` starts it without Docker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
_VARIABLE: Final = re.compile(r"\$\$|\$\{(?P<name>\w+)(?P<kind>:[-?])(?P<rest>[^}]*)\}")
"""A variable, or the two signs that stand for one dollar."""
_OURS: Final = "lethe:"
SECRETS: Final = "/run/secrets"
"""Where a container finds its secrets."""


@dataclass(frozen=True, slots=True)
class Health:
    """A check that says whether a service may be used.

    Args:
        command: ends with 0 where it may.
        interval_s: seconds between two checks.
        timeout_s: seconds one may take.
        start_s: seconds at the start in which a failure says nothing.
        retries: failures in a row until the service counts as unhealthy.
    """

    command: tuple[str, ...]
    interval_s: float
    timeout_s: float
    start_s: float
    retries: int


@dataclass(frozen=True, slots=True)
class Service:
    """A service as the compose file has it, with what its image says filled in.

    Args:
        command: what is run, with the entry point that the file sets before it.
        secrets: the file of each secret on this machine, by its name below ``SECRETS``.
        health: None where nothing is checked, so that a running service counts as well.
        depends_on: by name, ``service_started``, ``…_healthy`` or ``…_completed_successfully``.
        volumes: the source by the path in the container: a volume's name, or a path.
        names: host names of the service.
        published: the address and port on this machine, None where it is reached from inside only.
        is_restarted: whether it is started again when it ends.
        stop_s: seconds it gets to end.
    """

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    secrets: Mapping[str, Path]
    health: Health | None
    depends_on: Mapping[str, str]
    volumes: Mapping[str, str]
    names: frozenset[str]
    published: tuple[str, int] | None
    is_restarted: bool
    stop_s: float

    @property
    def is_ours(self) -> bool:
        """Whether it runs from the image that this repository builds."""
        return self.image.startswith(_OURS)


def compose_file() -> dict[str, Any]:
    """Return the compose file as it is written, its variables not replaced."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def image_environment() -> dict[str, str]:
    """Return the environment that the image sets."""
    joined = _dockerfile().replace("\\\n", " ")
    lines = [line.removeprefix("ENV ") for line in joined.splitlines() if line.startswith("ENV ")]
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


def interpolated(value: Any, *, variables: Mapping[str, str]) -> Any:  # noqa: ANN401 - YAML
    """Return ``value`` with its variables replaced, in all strings below it.

    Raises:
        KeyError: a variable that must be set is not.
    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _replaced(match, variables=variables), value)
    if isinstance(value, list):
        return [interpolated(one, variables=variables) for one in value]
    if isinstance(value, dict):
        return {key: interpolated(one, variables=variables) for key, one in value.items()}
    return value


def _replaced(match: re.Match[str], *, variables: Mapping[str, str]) -> str:
    if match["name"] is None:
        return "$"
    found = variables.get(match["name"], "")
    if not found and match["kind"] == ":?":
        raise KeyError(match["name"])
    return found or (match["rest"] if match["kind"] == ":-" else "")


def services(*, variables: Mapping[str, str], profiles: frozenset[str]) -> dict[str, Service]:
    """Return what is started under these variables and profiles, by name.

    What runs several times is ``worker``, ``worker-2`` and so on.

    Raises:
        KeyError: a variable that must be set is not.
    """
    said_all = compose_file()
    every: dict[str, dict[str, Any]] = said_all["services"]
    files = interpolated(said_all["secrets"], variables=variables)
    secrets = {name: ROOT / one["file"] for name, one in files.items()}
    wanted = {
        name: interpolated(said, variables=variables)
        for name, said in every.items()
        if not said.get("profiles") or profiles & set(said["profiles"])
    }
    return {
        each: _service(each, said, secrets=secrets)
        for name, said in wanted.items()
        for each in _replicas(name, said)
    }


def _replicas(name: str, said: Mapping[str, Any]) -> list[str]:
    count = int(said.get("deploy", {}).get("replicas", 1))
    return [name, *(f"{name}-{number}" for number in range(2, count + 1))][:count]


def _service(name: str, said: Mapping[str, Any], *, secrets: Mapping[str, Path]) -> Service:
    is_ours = str(said["image"]).startswith(_OURS)
    environment = image_environment() if is_ours else {}
    environment |= {key: str(value) for key, value in said.get("environment", {}).items()}
    networks = said["networks"]
    aliases = networks.values() if isinstance(networks, dict) else ()
    volumes = [volume.split(":") for volume in said.get("volumes", [])]
    mounts = [str(mount).partition(":")[0] for mount in said.get("tmpfs", [])]
    temporary = {path: f"tmpfs/{name}{path}" for path in mounts}
    command = said.get("command") or (_image_json("CMD") if is_ours else ())
    return Service(
        name=name,
        image=str(said["image"]),
        command=(*said.get("entrypoint", ()), *command),
        environment=environment,
        secrets={one: secrets[one] for one in said.get("secrets", [])},
        health=_health(said.get("healthcheck"), is_ours=is_ours),
        depends_on={one: how["condition"] for one, how in said.get("depends_on", {}).items()},
        volumes=temporary | {parts[1]: parts[0] for parts in volumes},
        names=frozenset({name, *(alias for one in aliases for alias in one.get("aliases", ()))}),
        published=_published(said.get("ports", [])),
        is_restarted=said.get("restart") == "unless-stopped",
        stop_s=_seconds(said.get("stop_grace_period", "10s")),
    )


def _published(ports: list[str]) -> tuple[str, int] | None:
    for one in ports:
        host, port, _ = one.split(":")
        return host, int(port)
    return None


def _health(said: Mapping[str, Any] | None, *, is_ours: bool) -> Health | None:
    if said is None:
        return _image_health() if is_ours else None
    if said.get("disable"):
        return None
    kind, *rest = said["test"]
    return Health(
        command=("sh", "-c", *rest) if kind == "CMD-SHELL" else tuple(rest),
        interval_s=_seconds(said["interval"]),
        timeout_s=_seconds(said["timeout"]),
        start_s=_seconds(said.get("start_period", "0s")),
        retries=said["retries"],
    )


def _image_health() -> Health:
    joined = _dockerfile().replace("\\\n", " ")
    said = joined.partition("HEALTHCHECK ")[2].partition("CMD")[0]
    options = dict(re.findall(r"--(\S+)=(\S+)", said))
    return Health(
        command=tuple(_image_json(r"HEALTHCHECK [^\[]*CMD")),
        interval_s=_seconds(options["interval"]),
        timeout_s=_seconds(options["timeout"]),
        start_s=_seconds(options["start-period"]),
        retries=int(options["retries"]),
    )


def _image_json(instruction: str) -> list[str]:
    joined = _dockerfile().replace("\\\n", " ")
    found = re.search(rf"^{instruction} (\[.*\])$", joined, re.MULTILINE)
    return [] if found is None else [str(part) for part in json.loads(found[1])]


def _dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def _seconds(text: str) -> float:
    """Return a duration, which the file writes in whole seconds (``30s``)."""
    return float(text.removesuffix("s"))
