"""The manifests for Kubernetes, as far as they can be checked without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from app.settings import environment_names, load_settings
from tests.servers.compose import ROOT, compose_file, interpolated

FOLDER: Final = ROOT / "deploy" / "kubernetes"
VERSIONS: Final = ("1.30", "1.37")
"""The oldest and the newest version of Kubernetes that the manifests are written for."""
KUSTOMIZATION: Final[dict[str, Any]] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS: Final[list[dict[str, Any]]] = [
    found
    for name in KUSTOMIZATION["resources"]
    for found in yaml.safe_load_all((FOLDER / name).read_text())
]
SECRETS: Final = frozenset((FOLDER / "secrets.txt").read_text().split())
SETTINGS: Final[dict[str, str]] = next(one for one in OBJECTS if one["kind"] == "ConfigMap")["data"]
SECRET: Final = "0123456789abcdef0123456789abcdef"
GIVEN: Final = {
    "LETHE_PEPPER": f"p{SECRET}",
    "LETHE_VAULT__KEK": SECRET + SECRET,
    "LETHE_VAULT__URL": "postgresql+psycopg://vault:secret@vault.example/vault",
    "LETHE_DATABASE__URL": "postgresql+psycopg://lethe:secret@rows.example/lethe",
    "LETHE_REDIS__URL": "redis://:secret@redis:6379/0",
    "LETHE_AUTH__SERVICE_TOKEN": f"s{SECRET}",
    "LETHE_AUTH__ADMIN_TOKEN": f"a{SECRET}",
    "REDIS_PASSWORD": "secret",
}


def pods() -> Iterator[dict[str, Any]]:
    for one in OBJECTS:
        if "template" in one.get("spec", {}):
            yield one["spec"]["template"]["spec"]


def containers() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for pod in pods() for one in pod["containers"]}


def variables(container: dict[str, Any]) -> dict[str, str]:
    told = {one["name"]: one.get("value", "") for one in container.get("env", [])}
    return (SETTINGS if "envFrom" in container else {}) | told


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_every_object_is_one_that_kubernetes_knows(one: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_every_file_of_the_folder_is_applied() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}

    assert set(KUSTOMIZATION["resources"]) == files


def test_what_runs_is_what_the_compose_file_runs() -> None:
    compose = interpolated(compose_file()["services"], variables={"LETHE_AUDIT__ORIGIN": "any"})
    here = containers()

    assert here["worker"]["args"] == [
        "--node=$(POD)" if part.startswith("--node=") else part
        for part in compose["worker"]["command"]
    ]
    for name in ("beat", "migrate", "chroma"):
        assert here[name]["args"] == compose[name]["command"], name
    assert here["redis"]["image"] == compose["redis"]["image"]
    (image,) = KUSTOMIZATION["images"]
    assert f"{image['name']}:{image['newTag']}" == compose["api"]["image"]


@pytest.mark.parametrize("name", ["api", "worker", "beat", "migrate"])
def test_a_container_starts_with_these_settings_and_these_files_of_secrets(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert GIVEN.keys() == SECRETS
    for secret in SECRETS:
        (tmp_path / secret).write_text(GIVEN[secret])
    told = variables(containers()[name])
    for variable, value in told.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("LETHE_SECRETS_DIR", str(tmp_path))

    settings = load_settings()

    mounts = {one["mountPath"]: one for one in containers()[name]["volumeMounts"]}
    assert mounts[told["LETHE_SECRETS_DIR"]]["readOnly"]
    assert settings.is_production
    assert settings.queue == "celery"
    assert settings.vault_url == GIVEN["LETHE_VAULT__URL"]


def test_no_secret_stands_in_an_environment_and_every_variable_is_a_setting() -> None:
    known = {name for name, _ in environment_names()}
    told = {name for one in containers().values() for name in variables(one)}

    assert told.isdisjoint(SECRETS)
    assert {name for name in told if name.startswith("LETHE_")} <= known


def test_only_the_migration_has_the_owners_address() -> None:
    def secrets(pod: dict[str, Any]) -> set[str]:
        found = [one for one in pod["volumes"] if one["name"] == "secrets"]
        (volume,) = found or [{"secret": {"secretName": "none"}}]
        sources = volume["projected"]["sources"] if "projected" in volume else [volume]
        return {one["secret"].get("name") or one["secret"]["secretName"] for one in sources}

    by_pod = {pod["containers"][0]["name"]: secrets(pod) for pod in pods()}

    assert by_pod.pop("migrate") == {"lethe", "lethe-owner"}
    assert all("lethe-owner" not in names for names in by_pod.values())


def test_containers_can_do_nothing_they_need_not() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        volumes = {one["name"] for one in pod["volumes"]} | {"chroma"}  # a claim of its own
        for one in pod["containers"]:
            assert one["securityContext"] == {
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in one["resources"]["limits"]
            assert {mount["name"] for mount in one["volumeMounts"]} <= volumes


def test_whoever_signs_has_the_keys_and_whoever_cleans_files_has_the_files() -> None:
    mounts = {
        name: {one["name"] for one in container["volumeMounts"]}
        for name, container in containers().items()
    }

    assert {name for name, found in mounts.items() if "keys" in found} == {"api", "worker"}
    assert {name for name, found in mounts.items() if "chroma" in found} == {"chroma", "worker"}
    assert variables(containers()["chroma"])["MALLOC_PERTURB_"] == "165"
