"""The JSON schema of an export, made from the form that the API answers with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from app.api.rights import FORMAT, ExportOut

PAGE: Final = Path(__file__).parents[2] / "docs/schemas/export.v1.json"


def render() -> str:
    """Return the schema, as JSON Schema 2020-12."""
    schema = ExportOut.model_json_schema(mode="serialization")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{FORMAT.replace('/', ':')}",
    }
    return json.dumps(head | schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")
