"""Which of Gemini's two members a schema goes into.

`parameters` and `responseSchema` hold the subset of OpenAPI's schemas that https://ai.google.dev/api/caching#Schema
lists and every model and version knows; whatever goes beyond it ($ref, additionalProperties, const, lists of types) is
refused there, and goes as plain JSON schema into `parametersJsonSchema` (https://ai.google.dev/api/caching, Function
declarations) or `responseJsonSchema` (https://ai.google.dev/gemini-api/docs/structured-output). The two exclude each
other, and nothing is cut out of what a caller wrote.
"""

from __future__ import annotations

from typing import Any

from relay.neutral.request import Json

SUBSET = frozenset(
    {
        *("type", "format", "title", "description", "nullable", "enum", "example", "default", "anyOf"),
        *("items", "minItems", "maxItems", "properties", "required", "minProperties", "maxProperties"),
        *("propertyOrdering", "minLength", "maxLength", "pattern", "minimum", "maximum"),
    }
)
TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
STRING_FORMATS = frozenset({"enum", "date-time"})


def parameters(schema: Json | None) -> Json:
    """The member of a function declaration; {} for a function without parameters, which may not have an empty one."""
    if not schema or _empty(schema):
        return {}
    bare = _bare(schema)
    return {"parameters" if in_subset(bare) else "parametersJsonSchema": bare}


def _empty(schema: Json) -> bool:
    """An object that can hold nothing, as far as it says. One with free members is none."""
    if schema.get("type") != "object" or schema.get("properties") or schema.get("additionalProperties"):
        return False
    return {"type", "properties", "required", "additionalProperties", "$schema", "title", "description"} >= set(schema)


def response(schema: Json) -> Json:
    """The member of a generation config."""
    bare = _bare(schema)
    return {"responseSchema" if in_subset(bare) else "responseJsonSchema": bare}


def _bare(schema: Json) -> Json:
    """Without the name of the draft, which says nothing about values."""
    return {name: value for name, value in schema.items() if name != "$schema"}


def in_subset(schema: Any) -> bool:
    """Whether the OpenAPI member takes the schema as it is. Depth is bounded by the parser that made it."""
    if not isinstance(schema, dict) or not SUBSET.issuperset(schema):
        return False
    kind = schema.get("type")
    if not isinstance(kind, str | None) or (kind is not None and kind.lower() not in TYPES):
        return False
    if kind is None and "anyOf" not in schema:
        return False
    if not _format_known(schema, kind) or not _enum_known(schema, kind):
        return False
    if kind == "object" and not schema.get("properties"):
        return False
    if kind == "array" and "items" not in schema:
        return False
    properties = schema.get("properties", {})
    choices = schema.get("anyOf", [])
    inner = [
        *(properties.values() if isinstance(properties, dict) else [None]),
        *(choices if isinstance(choices, list) else [None]),
        *([schema["items"]] if "items" in schema else []),
    ]
    return all(in_subset(entry) for entry in inner)


def _format_known(schema: Json, kind: str | None) -> bool:
    return kind != "string" or "format" not in schema or schema["format"] in STRING_FORMATS


def _enum_known(schema: Json, kind: str | None) -> bool:
    """Only texts can be enumerated, and an empty one is refused."""
    enum = schema.get("enum")
    return enum is None or (
        kind == "string" and isinstance(enum, list) and all(isinstance(entry, str) and entry for entry in enum)
    )
