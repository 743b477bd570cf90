"""The pages say what the code says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from app.settings import environment_names
from tests.architecture import (
    decisions_page,
    export_schema,
    extending_page,
    figures_page,
    settings_page,
)
from tests.architecture.sources import ROOT

SECRET_NAMES = ("TOKEN", "API_KEY", "PEPPER", "KEK", "DATABASE__URL", "VAULT__URL", "REDIS__URL")


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]


def test_the_schema_of_an_export_is_that_of_the_answer() -> None:
    assert export_schema.PAGE.read_text(encoding="utf-8") == export_schema.render(), "run make docs"


def test_page_of_settings_is_fresh() -> None:
    page = settings_page.PAGE.read_text(encoding="utf-8")

    assert page == settings_page.render(), "run make docs"


def test_every_setting_says_what_it_means() -> None:
    silent = [name for name, field in environment_names() if len(field.description or "") < 15]

    assert silent == []


def test_every_secret_setting_is_typed_as_a_secret() -> None:
    readable = [
        name
        for name, field in environment_names()
        if name.endswith(SECRET_NAMES) and "SecretStr" not in str(field.annotation)
    ]

    assert readable == []


MADE_FOR_THE_SITE: Final = ROOT / "docs" / "api.md"


def test_links_between_pages_lead_somewhere() -> None:
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in _tracked("*.md")
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text("utf-8"))
        if not (page.parent / target).exists() and page.parent / target != MADE_FOR_THE_SITE
    ]

    assert dead == []


def test_decisions_have_numbers_of_their_own_and_the_agreed_parts() -> None:
    pages = decisions_page.pages()
    numbers = [page.name[:4] for page in pages]
    parts = ("Status:", "Date:", "## Context", "## Decision", "## Consequences", "## Alternatives")

    assert len(set(numbers)) == len(numbers)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert [part for part in parts if part not in text] == [], page.name


def test_decisions_open_with_what_was_decided_and_are_listed_with_it() -> None:
    page = decisions_page.PAGE.read_text(encoding="utf-8")
    silent = [path.name for path in decisions_page.pages() if not decisions_page.opening(path)]

    assert silent == []
    assert page == decisions_page.render(), "run make docs"


def test_examples_of_extending_are_the_files_that_tests_run() -> None:
    page = extending_page.PAGE.read_text(encoding="utf-8")

    assert page == extending_page.fill(page), "run make docs"
    assert [
        path.name
        for path in (ROOT / "docs" / "examples").glob("*.py")
        if f"<!-- examples/{path.name} -->" not in page
    ] == []


def test_every_benchmark_and_every_result_is_in_their_readme() -> None:
    folder = ROOT / "benchmarks"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    asked = {path.relative_to(folder).parts[0] for path in _tracked("benchmarks/*/*.py")}
    results = {path.stem for path in (folder / "results").glob("*.json")}

    assert {name for name in asked | results if f"`{name}`" not in readme} == set()


def test_figures_are_what_the_result_files_say() -> None:
    readme = figures_page.README.read_text(encoding="utf-8")
    blocks = figures_page.blocks()

    assert figures_page.PAGE.read_text(encoding="utf-8") == figures_page.render(), "run make docs"
    assert readme == figures_page.fill(readme), "run make docs"
    assert [name for name in blocks if f"<!-- {name} -->" not in readme] == []


def test_whatever_was_measured_is_among_the_figures() -> None:
    page = figures_page.PAGE.read_text(encoding="utf-8")
    results = (ROOT / "benchmarks" / "results").glob("*.json")

    assert [path.name for path in results if path.name not in page] == []


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE))

    listed = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True)

    assert phony == set(re.findall(r"^  \x1b\[1m([a-z-]+)", listed.stdout, re.MULTILINE))


@pytest.mark.parametrize("private", ["/wor" + "k/", "file:" + "///opt", "find-" + "links ="])
def test_nothing_of_a_developers_machine_is_committed(private: str) -> None:
    leaks = [
        path.relative_to(ROOT).as_posix()
        for path in _tracked("*.py", "*.md", "*.toml", "*.lock", "*.yml", "Makefile", ".ci/*")
        if private in path.read_text(encoding="utf-8", errors="replace")
    ]

    assert leaks == []
