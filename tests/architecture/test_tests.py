"""The rules of the tests themselves, and for each rule a snippet that breaks it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.sources import Rule, Source, calls, sources

PROGRAMS: Final = frozenset({"redis-server", "chromium", "initdb", "pg_ctl", "postgres -D"})
LEAST_WORDS: Final = 3


def starts_a_server(source: Source) -> Iterator[str]:
    """Servers come from tests/servers, where one that is missing is a skip and never an error."""
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value in PROGRAMS or node.value.startswith((".venv-vllm", "vllm.entrypoints")):
                yield f"{source.name}:{node.lineno}: {node.value}"
        elif (
            isinstance(node, ast.BinOp)
            and isinstance(node.right, ast.Constant)
            and node.right.value == "chroma"
            and "sys.executable" in ast.unparse(node.left)
        ):
            yield f"{source.name}:{node.lineno}: chroma"
    for node, function in calls(source):
        if function.endswith(("chromium.launch", "shutil.which")):
            yield f"{source.name}:{node.lineno}: {function}"


def replaces_our_code(source: Source) -> Iterator[str]:
    """What a test needs otherwise is handed in; only a limit, a constant, may be set lower."""
    for node in source.nodes:
        if isinstance(node, ast.ImportFrom) and node.module in {"unittest", "unittest.mock"}:
            yield f"{source.name}:{node.lineno}: {node.module}"
    for node, function in calls(source):
        if function.endswith("patch.setattr"):
            name = node.args[1] if len(node.args) > 1 else None
            if not (isinstance(name, ast.Constant) and str(name.value).isupper()):
                yield f"{source.name}:{node.lineno}: {ast.unparse(node)}"


def named_without_a_sentence(source: Source) -> Iterator[str]:
    """A name says what holds (and when), so that a red line tells what broke."""
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            words = [word for word in node.name.split("_")[1:] if word]
            if len(words) < LEAST_WORDS:
                yield f"{source.name}:{node.lineno}: {node.name}"


EDGES: Final[dict[Rule, frozenset[str]]] = {
    starts_a_server: frozenset({"tests/servers/", "tests/architecture/"}),
    # The disk must be full just while a process of its own cleans the files, and not before; a
    # cleaner of PostgreSQL must stand still, or be killed, just between two steps.
    replaces_our_code: frozenset(
        {
            "tests/contract/persistence/test_shared_cleaning.py",
            "tests/integration/test_bad_files.py",
        }
    ),
}
BREAKERS: Final[dict[Rule, tuple[str, ...]]] = {
    starts_a_server: (
        "Popen(['redis-server', '--port', '1'])\n",
        "program = Path(sys.executable).parent / 'chroma'\n",
        "browser = playwright.chromium.launch()\n",
        "PYTHON = ROOT / '.venv-vllm' / 'bin'\n",
    ),
    replaces_our_code: (
        "monkeypatch.setattr(world.adapters.clock, 'now', lambda: START)\n",
        "with monkeypatch.context() as patch:\n    patch.setattr(store, name, unavailable)\n",
        "from unittest.mock import patch\n",
    ),
    named_without_a_sentence: ("def test_merkle():\n    pass\n",),
}
GOOD: Final = (
    "monkeypatch.setattr(scanner, '_READ_BYTES', 16)\nmonkeypatch.setenv('A', 'b')\n",
    "directory = tmp_path / 'chroma'\n'''Starts redis-server.'''\n",
    "def test_nothing_is_left():\n    pass\n",
)


def _is_edge(rule: Rule, name: str) -> bool:
    return any(name.startswith(edge) for edge in EDGES.get(rule, frozenset()))


@pytest.mark.parametrize("rule", BREAKERS, ids=lambda rule: rule.__name__)
def test_every_test_keeps_the_rule(rule: Rule) -> None:
    found = [
        finding
        for source in sources("tests")
        if not _is_edge(rule, source.name)
        for finding in rule(source)
    ]

    assert found == [], rule.__doc__


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, texts in BREAKERS.items() for text in texts]
)
def test_the_rule_sees_what_breaks_it(rule: Rule, text: str) -> None:
    assert list(rule(Source.of("tests/x.py", text)))


@pytest.mark.parametrize("text", GOOD)
def test_the_rules_leave_good_tests_alone(text: str) -> None:
    source = Source.of("tests/x.py", text)

    assert [finding for rule in BREAKERS for finding in rule(source)] == []
