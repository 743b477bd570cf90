"""How ``lethe demo`` tells its steps: in colours for people, or one JSON line each."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

Json = dict[str, Any]


class Told:
    """Prints steps. Where the output is no terminal there are no colours.

    Args:
        as_json: one line of JSON a step instead.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(highlight=False)

    def step(self, name: str, found: Json) -> None:
        """Print one step."""
        if self._as_json:
            print(json.dumps({"step": name} | found, ensure_ascii=False))
            return
        self._console.print()
        getattr(self, f"_{name}")(found)

    def _recommend(self, found: Json) -> None:
        self._title("1", f"What {found['user']} is shown, and why")
        self._list(found)

    def _dislike(self, found: Json) -> None:
        self._title("2", f"“Not that one”: {found['disliked']}")
        self._list(found)

    def _topic(self, found: Json) -> None:
        n_memories = found["would"]["n_memories"]
        self._title("3", f"“No {found['topic']} any more”: {n_memories} memories go")
        self._list(found)

    def _forget(self, found: Json) -> None:
        accepted = found["accepted"]
        self._title("4", "“Forget everything”")
        self._console.print(f"  [green]202[/], at once; due by {accepted['due_at'][:10]}")
        kind = "personal" if found["personalised"] else "a stranger's"
        self._console.print(f"  the next list is {kind}, ranked by {found['ranked_by']}:")
        self._list(found)

    def _certificate(self, found: Json) -> None:
        self._title("5", f"Erased, searched, certified: {found['status']}")
        table = Table(box=None, padding=(0, 2))
        for heading in ("step", "store", "touched", "ms"):
            table.add_column(heading, style="dim" if heading == "ms" else "")
        for one in found["steps"]:
            table.add_row(
                one["step"], one["store"], str(one["touched"]), f"{one['duration_ms']:.0f}"
            )
        self._console.print(table)
        for probe in (found["certificate"] or {}).get("statement", {}).get("probes", []):
            self._console.print(
                f"  {probe['store']}: {probe['needles']} patterns in "
                f"{probe['scanned_bytes']:,} bytes, residue [bold]{probe['residue']}[/], "
                f"control {'found' if probe['control_found'] else '[red]NOT FOUND[/]'}"
            )

    def _verify(self, found: Json) -> None:
        self._title("6", "Checked offline, as anybody can")
        for line in found["lines"]:
            colour = "green" if line.startswith("ok") else "red"
            self._console.print(f"  [{colour}]{escape(line)}[/]", soft_wrap=True)
        if found["is_verified"]:
            self._console.print("  [bold green]VERIFIED[/]")
        elif found["is_whole"]:
            self._console.print("  whole; to know who signed it, on the service's machine:")
            self._console.print("    lethe keys show")
            self._console.print(f"    lethe verify {found['file']} --key KEY", soft_wrap=True)
        else:
            self._console.print("  [bold red]NOT VERIFIED[/]")
        self._console.print(f"  [dim]{found['file']}[/]", soft_wrap=True)

    def _title(self, number: str, text: str) -> None:
        self._console.print(f"[bold cyan]{number}[/]  [bold]{escape(text)}[/]")

    def _list(self, found: Json) -> None:
        for item in found["items"]:
            because = ", ".join(one["title"] for one in item["because"])
            reason = f"  [dim]because of {escape(because)}[/]" if because else ""
            self._console.print(f"  · {escape(item['title'])}{reason}", soft_wrap=True)
