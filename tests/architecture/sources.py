"""The rules that a machine holds, as functions from a parsed file to what breaks them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from app.observability import PERSONAL_KEYS

ROOT: Final = Path(__file__).parents[2]
MAX_FILE_LINES: Final = 300
MAX_FUNCTION_LINES: Final = 40
"""Without the docstring, so that nobody saves lines where the contract is stated."""
WRITES: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
BINDS: Final = frozenset({"bind", "new"})
OWN_PACKAGES: Final = frozenset({"app", "workers", "migrations", "tests", "benchmarks"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed file; ``name`` is its path from the root, ``nodes`` are all of the tree's."""

    name: str
    text: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]

    @classmethod
    def of(cls, name: str, text: str) -> Source:
        """Parse ``text``."""
        tree = ast.parse(text)
        return cls(name, text, tree, tuple(ast.walk(tree)))


Rule = Callable[[Source], Iterator[str]]


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Return every Python file below these folders of the repository, as it is at first asking."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(
        Source.of(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in paths
    )


def file_too_long(source: Source) -> Iterator[str]:
    """A file is read in one go."""
    if (length := len(source.text.splitlines())) > MAX_FILE_LINES:
        yield f"{source.name}: {length} lines"


def function_too_long(source: Source) -> Iterator[str]:
    """A function is seen at once."""
    for node in source.nodes:
        if isinstance(node, Function) and (length := _length(node)) > MAX_FUNCTION_LINES:
            yield f"{source.name}: {node.name} has {length} lines"


def broad_except(source: Source) -> Iterator[str]:
    """An error nobody thought of must reach one of the edges that log it with its stack."""
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type):
            yield f"{source.name}: except {ast.unparse(node.type) if node.type else ''}".rstrip()


def transacts(source: Source) -> Iterator[str]:
    """The unit of work begins and commits; whoever else does tears a use case in two."""
    moves = (".begin", ".begin_nested", ".commit", ".rollback")
    yield from _calls(source, lambda function: function.endswith(moves))


def prints(source: Source) -> Iterator[str]:
    """Standard output is the log's."""
    yield from _calls(source, lambda function: function in {"print", "pprint"})


def reads_the_clock(source: Source) -> Iterator[str]:
    """Time is handed in through the Clock port."""
    clocks = ("datetime.now", "datetime.today", "date.today", "time.time", "time.monotonic")
    yield from _calls(source, lambda function: function.endswith(clocks))


def reads_the_environment(source: Source) -> Iterator[str]:
    """What can be set is a setting, and on its page."""
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and _written(node) in {"os.environ", "os.getenv"}:
            yield f"{source.name}:{node.lineno}: {ast.unparse(node)}"


def imports_settings(source: Source) -> Iterator[str]:
    """Settings are handed down as plain values."""
    for module in _imports(source.tree):
        if module.startswith("app.settings"):
            yield f"{source.name}: {module}"


def imports_inside(source: Source) -> Iterator[str]:
    """An import inside a function hides a circle."""
    for function in (node for node in source.nodes if isinstance(node, Function)):
        for module in _imports(function):
            if module.split(".")[0] in OWN_PACKAGES:
                yield f"{source.name}: {function.name} imports {module}"


def logs_someone(source: Source) -> Iterator[str]:
    """No keyword of a log call names what is a person's."""
    for call in _log_calls(source, methods=WRITES | BINDS):
        personal = sorted(PERSONAL_KEYS & {str(keyword.arg) for keyword in call.keywords})
        if personal:
            yield f"{source.name}:{call.lineno}: {', '.join(personal)}"


def logs_prose(source: Source) -> Iterator[str]:
    """An event has a constant name; facts are keywords, where the belts can see them."""
    for call in _log_calls(source, methods=WRITES):
        name = call.args[0] if call.args else None
        is_constant = isinstance(name, ast.Constant) and str(name.value).isidentifier()
        if len(call.args) != 1 or not is_constant:
            yield f"{source.name}:{call.lineno}: {ast.unparse(call)}"


def _length(node: Function) -> int:
    last = node.end_lineno or node.lineno
    length = last - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def _is_broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(ast.unparse(part) in {"Exception", "BaseException"} for part in kinds)


@cache
def calls(source: Source) -> tuple[tuple[ast.Call, str], ...]:
    """Return every call with what is called, as text."""
    found = (node for node in source.nodes if isinstance(node, ast.Call))
    return tuple((node, _written(node.func)) for node in found)


def _written(called: ast.expr) -> str:
    """Write names with dots at once: ``ast.unparse`` takes most of the time of these tests."""
    if isinstance(called, ast.Name):
        return called.id
    if isinstance(called, ast.Attribute):
        return f"{_written(called.value)}.{called.attr}"
    return ast.unparse(called)


def _calls(source: Source, is_meant: Callable[[str], bool]) -> Iterator[str]:
    for node, function in calls(source):
        if is_meant(function):
            yield f"{source.name}:{node.lineno}: {function}"


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _log_calls(source: Source, *, methods: frozenset[str]) -> Iterator[ast.Call]:
    for node, function in calls(source):
        if function.endswith("bind_contextvars"):
            if "bind" in methods:
                yield node
        elif isinstance(node.func, ast.Attribute) and node.func.attr in methods:
            # `log`, `self._log`, `_log.bind(…)`, `structlog.get_logger(…)`
            owner = ast.unparse(node.func.value).split("(")[0].split(".")[-1].strip("_").lower()
            if owner in {"log", "logger", "bind", "get_logger"}:
                yield node
