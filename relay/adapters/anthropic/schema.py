"""JSON schemas as Claude models can be held to them: forms of answers, and the arguments of strict tools.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs ("JSON Schema limitations"): objects have to be
closed, and bounds of numbers, texts and lists are refused. As in Anthropic's own SDKs (`transform_schema` of
anthropic-sdk-python), such a bound is told in the description instead.
"""

from __future__ import annotations

from typing import Any

import orjson

from relay.neutral.request import Json

BOUNDS = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    }
)
FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)
# Members that hold schemas by names, several of them, or one; whatever else a schema holds is data.
NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions"})
SEVERAL = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})
ONE = frozenset({"items", "additionalProperties", "not", "contains"})


def closed(schema: Any) -> Any:
    """The schema with every object closed: open ones are refused upstream, so that is the only reading there is."""
    if not isinstance(schema, dict):
        return schema
    told = {name: value for name, value in schema.items() if _is_refused(name, value)}
    made: Json = {name: _inner(name, value) for name, value in schema.items() if name not in told}
    if told:
        described = made.get("description")
        bounds = orjson.dumps(told).decode()
        made["description"] = f"{described}\n\n{bounds}" if isinstance(described, str) and described else bounds
    kind = made.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind):
        made.setdefault("additionalProperties", False)
    return made


def _inner(name: str, value: Any) -> Any:
    if name in NAMED and isinstance(value, dict):
        return {inner: closed(schema) for inner, schema in value.items()}
    if name in SEVERAL and isinstance(value, list):
        return [closed(schema) for schema in value]
    return closed(value) if name in ONE else value


def _is_refused(name: str, value: Any) -> bool:
    if name == "minItems":
        return value not in (0, 1)
    if name == "format":
        return not isinstance(value, str) or value not in FORMATS
    return name in BOUNDS
