"""The rules of the code base, and for each rule a snippet that breaks it."""

from __future__ import annotations

from typing import Final

import pytest

from tests.architecture import sources as rules
from tests.architecture.sources import Rule, Source, sources

FOLDERS: Final = ("app", "workers")
EDGES: Final[dict[Rule, frozenset[str]]] = {
    # Checks certificates offline, without this package: one file is the point of it.
    rules.file_too_long: frozenset({"app/data/verify_lethe.py"}),
    # engine.py ends the transaction in which a new connection gets its own settings.
    # The vault is another database, with transactions of its own; rights go with a migration.
    rules.transacts: frozenset(
        {
            "app/adapters/db/uow.py",
            "app/adapters/db/engine.py",
            "app/adapters/db/roles.py",
            "app/adapters/vault/sql.py",
        }
    ),
    # The command line talks to people: it prints, and says how long a load took.
    rules.prints: frozenset({"app/cli/"}),
    # Cleaning is a program of its own, whose runs compare when they began.
    rules.reads_the_clock: frozenset(
        {"app/adapters/system/clock.py", "app/adapters/chroma/maintenance.py", "app/cli/"}
    ),
    # All but the first start a program with their own environment.
    rules.reads_the_environment: frozenset(
        {
            "app/settings.py",
            "app/cli/serve.py",
            "app/adapters/chroma/heap.py",
            "app/adapters/chroma/maintenance_process.py",
            "app/adapters/db/copies.py",
            "app/adapters/probe/process.py",
        }
    ),
    rules.imports_settings: frozenset(
        {
            "app/settings.py",
            "app/settings_model.py",
            "app/settings_chroma.py",
            "app/settings_llm.py",
            "app/bootstrap/",
            "app/main.py",
            "app/cli/",
            "workers/",
        }
    ),
    # A command imports what it needs when it runs: help must not load the service.
    rules.imports_inside: frozenset({"app/cli/"}),
    # Threads: above them is nobody who could log the error. A span tells that its block failed,
    # and raises again.
    rules.broad_except: frozenset({"app/adapters/queue/inline.py", "app/tracing.py"}),
}
"""Where a rule does not hold: the file, or the folder, that it is there for."""
BREAKERS: Final[dict[Rule, str]] = {
    rules.file_too_long: "x = 1\n" * 301,
    rules.function_too_long: "def f():\n" + "    x = 1\n" * 40,
    rules.broad_except: "try:\n    f()\nexcept (ValueError, Exception):\n    pass\n",
    rules.transacts: "def f(engine):\n    with engine.begin():\n        pass\n",
    rules.prints: "print('x')\n",
    rules.reads_the_clock: "import datetime as dt\nnow = dt.datetime.now(dt.UTC)\n",
    rules.reads_the_environment: "import os\nurl = os.environ['X']\n",
    rules.imports_settings: "from app import settings\n",
    rules.imports_inside: "def f():\n    from app.domain import models\n",
    rules.logs_someone: "self._log.bind(user_id=user).info('seen', n=1)\n",
    rules.logs_prose: "log.info(f'seen {user}')\n",
}


def _is_edge(rule: Rule, name: str) -> bool:
    return any(name.startswith(edge) for edge in EDGES.get(rule, frozenset()))


@pytest.mark.parametrize("rule", BREAKERS, ids=lambda rule: rule.__name__)
def test_every_rule_holds(rule: Rule) -> None:
    found = [
        finding
        for source in sources(*FOLDERS)
        if not _is_edge(rule, source.name)
        for finding in rule(source)
    ]

    assert found == [], rule.__doc__


@pytest.mark.parametrize("rule", BREAKERS, ids=lambda rule: rule.__name__)
def test_rule_sees_what_breaks_it(rule: Rule) -> None:
    assert list(rule(Source.of("app/x.py", BREAKERS[rule])))


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    '''" + "a\n" * 50 + "'''\n    return 1\n",
        "try:\n    f()\nexcept ValueError:\n    g()\n",
        "log.info('forget_step_done', request_id=request_id, touched=3)\n",
        "import math\nfrom app.domain import models\ndef f():\n    import json\n",
    ],
)
def test_rules_leave_good_code_alone(text: str) -> None:
    source = Source.of("app/x.py", text)

    assert [finding for rule in BREAKERS for finding in rule(source)] == []


def test_every_exception_is_still_needed() -> None:
    files = sources(*FOLDERS)
    unneeded = []
    for rule, edges in EDGES.items():
        for edge in edges:
            there = [source for source in files if source.name.startswith(edge)]
            if there and edge.endswith(".py") and not any(list(rule(source)) for source in there):
                unneeded.append((rule.__name__, edge))

    assert unneeded == []
