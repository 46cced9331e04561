"""Words in which the shapes of the management API are told: members, and how they are put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Shape = dict[str, Any]

INTEGER: Shape = {"type": "integer", "format": "int64"}
NUMBER: Shape = {"type": "number"}
TEXT: Shape = {"type": "string"}
FLAG: Shape = {"type": "boolean"}
SECONDS: Shape = {**INTEGER, "description": "Unix seconds"}
QUOTA: Shape = {**INTEGER, "description": "points"}
ID: Shape = {**INTEGER, "minimum": 1}
KINDS = {"i": INTEGER, "n": NUMBER, "s": TEXT, "b": FLAG, "t": SECONDS, "q": QUOTA}


def members(text: str, others: Mapping[str, Shape] | None = None, *, all_given: bool = False) -> Shape:
    """An object from `name:kind` words, whose kinds are the keys of KINDS, and other members."""
    properties = {name: KINDS[kind] for name, _, kind in (word.partition(":") for word in text.split())}
    properties |= others or {}
    shape: Shape = {"type": "object", "properties": properties}
    return {**shape, "required": list(properties)} if all_given else shape


def listed(item: Shape) -> Shape:
    return {"type": "array", "items": item}


def named(component: str) -> Shape:
    return {"$ref": f"#/components/schemas/{component}"}


def one_of(shape: Shape, *values: Any) -> Shape:
    return {**shape, "enum": list(values)}


def between(shape: Shape, low: int, high: int) -> Shape:
    """Of an integer the least and the greatest, of a text the lengths in characters."""
    names = ("minLength", "maxLength") if shape["type"] == "string" else ("minimum", "maximum")
    return {**shape, **dict(zip(names, (low, high), strict=True))}


def needed(shape: Shape, names: str) -> Shape:
    """`shape` with its required members named."""
    return {**shape, "required": names.split()}


def either(shape: Shape, *types: str) -> Shape:
    return {**shape, "type": [shape["type"], *types]}
