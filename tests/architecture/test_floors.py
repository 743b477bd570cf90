from __future__ import annotations

from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_ERROR, EXIT_STATUS_SUCCESS, lint_imports

from tests.architecture.sources import ROOT

UPSIDE_DOWN = """
[importlinter]
root_package = app

[importlinter:contract:1]
name = The floors, upside down
type = layers
layers =
    app.domain
    app.ports
"""


def test_contracts_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)

    status = lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)

    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_broken_contract_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    contract = tmp_path / "importlinter.ini"
    contract.write_text(UPSIDE_DOWN)

    assert (
        lint_imports(config_filename=str(contract), no_cache=True, no_logo=True)
        == EXIT_STATUS_ERROR
    )
