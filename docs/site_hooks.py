"""Takes what the pages link to outside of ``docs`` into the site: run by ``make site`` alone.

Links stay as they are for readers of the repository. Here each file that is named outside of
``docs`` becomes part of the site under ``repository/``, pages as pages, anything else as a file.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")
UNDER = "repository"


def on_files(files: Files, config: MkDocsConfig, **_: object) -> Files:
    """Add every file that a page names, and what those name in turn."""
    files.remove(files.src_uris["site_hooks.py"])
    known = {DOCS / uri for uri in files.src_uris if uri.endswith(".md")}
    waiting = sorted(known)
    while waiting:
        page = waiting.pop()
        for target in _targets(page):
            if target not in known and not target.is_relative_to(DOCS):
                known.add(target)
                files.append(_file(target, config))
                waiting += [target] if target.suffix == ".md" else []
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let links lead to where things are in the site."""
    source = _real(page.file.src_uri)

    def lead(match: re.Match[str]) -> str:
        target = _resolved(source, match[1])
        depth = page.file.src_uri.count("/")
        return "../" * depth + _uri(target)

    return LINK.sub(lead, markdown)


def _targets(page: Path) -> list[Path]:
    return [_resolved(page, link) for link in LINK.findall(page.read_text("utf-8"))]


def _resolved(page: Path, link: str) -> Path:
    """Return the file that is meant; of a folder, the page that stands for it or one around it."""
    target = (page.parent / link).resolve()
    if not target.is_dir():
        return target
    return next(
        folder / "README.md"
        for folder in (target, *target.parents)
        if (folder / "README.md").is_file()
    )


def _real(uri: str) -> Path:
    inside = uri.removeprefix(f"{UNDER}/")
    return ROOT / inside if inside != uri else DOCS / uri


def _uri(target: Path) -> str:
    if target.is_relative_to(DOCS):
        return target.relative_to(DOCS).as_posix()
    return f"{UNDER}/{target.relative_to(ROOT).as_posix()}"


def _file(target: Path, config: MkDocsConfig) -> File:
    return File.generated(config, _uri(target), abs_src_path=str(target))
