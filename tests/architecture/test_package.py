"""What is given away: its licence and those of what it stands on, and its version."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from typing import Any, Final

import yaml

from tests.architecture.sources import ROOT

PERMISSIVE: Final = re.compile(
    r"(MIT|MIT-0|New BSD|(3-Clause )?BSD( License)?|(\d-Clause BSD|BSD-\d-Clause)|0BSD|ISC|Zlib"
    r"|CC0-1\.0|PSF-2\.0|Apache([ -]2\.0| Software License|(,? License,?)? Version 2\.0))"
    r"( License)?( \(ISCL\))?"
)
"""May be passed on under the Apache License, with their notices."""
WEAK: Final = {
    "certifi": "MPL-2.0",
    "orjson": "MPL-2.0",
    "tqdm": "MPL-2.0",
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
}
"""Copyleft of their own files alone: used as they are, installed beside us, never changed."""


def _licences(name: str) -> list[str]:
    head = metadata.metadata(name).json
    stated = str(head.get("license_expression") or head.get("license") or "").partition("\n")[0]
    if stated and len(stated) < 80 and "Copyright" not in stated:
        return re.split(r" (?:AND|OR) ", re.sub(r"[()]", "", stated))
    trove = [line for line in head.get("classifier") or [] if line.startswith("License ::")]
    return [line.rpartition(" :: ")[2] for line in trove]


def _locked(lock: str) -> list[str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def test_whatever_is_installed_to_run_may_be_passed_on_with_it() -> None:
    found = {name: _licences(name) for name in _locked("requirements.lock")}

    silent = [name for name, licences in found.items() if not licences]
    doubtful = {
        (name, one)
        for name, licences in found.items()
        for one in licences
        if not PERMISSIVE.fullmatch(one) and WEAK.get(name) != one
    }
    assert silent == []
    assert doubtful == set()


def test_version_and_licence_are_the_same_wherever_they_are_told() -> None:
    version = _project()["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    image = (ROOT / "Dockerfile").read_text()
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

    assert citation["version"] == version
    assert f'image.version="{version}"' in image
    assert compose["x-lethe"]["image"] == f"lethe:{version}"
    assert _project()["license"] == citation["license"] == "Apache-2.0"
    assert f'image.licenses="{citation["license"]}"' in image
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()
