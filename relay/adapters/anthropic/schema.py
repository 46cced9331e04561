"""JSON schemas as Claude models can be held to them: forms of answers, and the arguments of strict tools.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs ("JSON Schema limitations"): objects have to be
closed, and bounds of numbers, texts and lists are refused. As in Anthropic's own SDKs (`transform_schema` of
anthropic-sdk-python), such a bound is told in the description instead.
"""

from __future__ import annotations

from typing import Any

import orjson

from relay.adapters.json_schema import describes_object, mapped

BOUNDS = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    }
)
FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)


def closed(schema: Any) -> Any:
    """The schema with every object closed: open ones are refused upstream, so that is the only reading there is."""
    if not isinstance(schema, dict):
        return schema
    told = {name: value for name, value in schema.items() if _is_refused(name, value)}
    made = mapped({name: value for name, value in schema.items() if name not in told}, closed)
    if told:
        described = made.get("description")
        bounds = orjson.dumps(told).decode()
        made["description"] = f"{described}\n\n{bounds}" if isinstance(described, str) and described else bounds
    if describes_object(made):
        made.setdefault("additionalProperties", False)
    return made


def _is_refused(name: str, value: Any) -> bool:
    if name == "minItems":
        return value not in (0, 1)
    if name == "format":
        return not isinstance(value, str) or value not in FORMATS
    return name in BOUNDS
