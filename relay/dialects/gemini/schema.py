"""Gemini's schemas, a subset of OpenAPI 3.0's (https://ai.google.dev/api/caching#Schema), as plain JSON schema."""

from __future__ import annotations

from typing import Any

from relay.dialects.gemini.members import camel
from relay.neutral.request import Json

COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
UNKNOWN = frozenset({"propertyOrdering", "nullable", "example"})  # of which JSON schema has nothing


def json_schema(schema: Any) -> Any:
    """What is no schema is left as it is. Depth is bounded by the parser that made it."""
    if not isinstance(schema, dict):
        return schema
    given = {camel(name): value for name, value in schema.items()}
    made: Json = {name: _member(name, value) for name, value in given.items() if name not in UNKNOWN}
    kind = made.get("type")
    if kind == "type_unspecified":
        del made["type"]
    elif given.get("nullable") is True and isinstance(kind, str):
        made["type"] = [kind, "null"]
        if isinstance(made.get("enum"), list):
            made["enum"] = [*made["enum"], None]
    if made.get("format") == "enum":
        del made["format"]
    return made


def _member(name: str, value: Any) -> Any:
    if name == "type" and isinstance(value, str):
        return value.lower()
    if name in COUNTS and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)  # 64-bit integers are written as text
    if name == "items":
        return json_schema(value)
    if name == "anyOf" and isinstance(value, list):
        return [json_schema(choice) for choice in value]
    if name == "properties" and isinstance(value, dict):
        return {property_: json_schema(inner) for property_, inner in value.items()}
    return value
