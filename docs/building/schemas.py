"""The JSON schemas of docs/schemas as tables, below the page that lists them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "schemas"


def tables() -> str:
    """A section a schema."""
    sections = [
        "\n## Keys\n\nMade from the schemas; a dot leads into an object, `[]` into a list.\n"
    ]
    for file in sorted(FOLDER.glob("*.json")):
        schema = json.loads(file.read_text(encoding="utf-8"))
        rows = _rows(schema, "")
        if rows:
            head = f"### {file.stem}\n\n{schema.get('title', '')}\n"
            sections.append("\n".join([head, "| key | type | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(sections) + "\n"


def _rows(schema: Mapping[str, Any], prefix: str) -> list[str]:
    rows = []
    for name, value in schema.get("properties", {}).items():
        optional = "" if name in schema.get("required", ()) else ", may be missing"
        meaning = str(value.get("description", "")).replace("|", "\\|")
        rows.append(f"| `{prefix}{name}` | {_type(value)}{optional} | {meaning} |")
        rows += _rows(value, f"{prefix}{name}.")
        rows += _rows(value.get("items") or {}, f"{prefix}{name}[].")
    return rows


def _type(schema: Mapping[str, Any]) -> str:
    """In words, with a link where another schema says it."""
    if "$ref" in schema:
        name = Path(schema["$ref"].partition("#")[0]).stem
        return f"[{name}](#{name})" if name else "object"
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"`{json.dumps(value)}`" for value in values).replace("|", "\\|")
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(_type(each) for each in schema[choice])
    kinds = schema.get("type", "any")
    if kinds == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    return kinds if isinstance(kinds, str) else " or ".join(kinds)
