"""What a JSON schema holds: the schemas inside of it, told from data that may look like some.

A property may be called "properties", and the values of `enum`, `const`, `default` and `examples` may be objects;
neither makes schemas of them. https://json-schema.org/draft/2020-12/json-schema-core#section-10
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from relay.neutral.request import Json

# Members that hold schemas by names, several of them, or one (`items` of older drafts: one or several).
NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions"})
SEVERAL = frozenset({"anyOf", "allOf", "oneOf", "prefixItems", "items"})
ONE = frozenset({"items", "additionalProperties", "not", "contains"})


def mapped(schema: Json, change: Callable[[Any], Any]) -> Json:
    """The schema, with what `change` makes of each schema right inside of it. Depth is bounded by the parser."""
    return {name: _changed(name, value, change) for name, value in schema.items()}


def inner(schema: Json) -> Iterator[Any]:
    """The schemas right inside of it, each a JSON object or a boolean, as far as the caller wrote one."""
    for name, value in schema.items():
        if name in NAMED and isinstance(value, dict):
            yield from value.values()
        elif name in SEVERAL and isinstance(value, list):
            yield from value
        elif name in ONE:
            yield value


def describes_object(schema: Json) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _changed(name: str, value: Any, change: Callable[[Any], Any]) -> Any:
    if name in NAMED and isinstance(value, dict):
        return {property_: change(schema) for property_, schema in value.items()}
    if name in SEVERAL and isinstance(value, list):
        return [change(schema) for schema in value]
    return change(value) if name in ONE else value
