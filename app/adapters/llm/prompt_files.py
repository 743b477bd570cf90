"""The prompt templates that ship with the package, as TOML files."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from app.domain.recommendation.prompt_template import PromptTemplate, template_of

PromptLanguage = Literal["en", "de"]


@cache
def load_template(language: PromptLanguage) -> PromptTemplate:
    """Return the template in ``app/data/prompts`` of that language."""
    source = (files("app.data") / "prompts" / f"{language}.toml").read_bytes()
    return template_of(tomllib.loads(source.decode()), source=source)
