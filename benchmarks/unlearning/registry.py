"""Which methods there are: the modules of the folder ``methods``, each with its own rows."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

from benchmarks.unlearning.protocol import BUDGET, Method

FOLDER: Final = Path(__file__).parent / "methods"


def methods() -> dict[str, Method]:
    """Return every method by name.

    Raises:
        ValueError: two have one name, or one has more settings than the budget.
    """
    found: dict[str, Method] = {}
    for module in sorted(iter_modules([str(FOLDER)]), key=lambda info: info.name):
        listed = import_module(f"benchmarks.unlearning.methods.{module.name}").METHODS
        for method in listed:
            if method.name in found:
                raise ValueError(f"two methods are called {method.name}")
            if len(method.grid) > BUDGET:
                raise ValueError(f"{method.name} tries more than {BUDGET} settings")
            found[method.name] = method
    return found
