"""Members of a caller's JSON, checked: absent and null are None, the wrong type is the caller's mistake (400)."""

from __future__ import annotations

import math
from typing import Any

from relay.errors import BadRequest

Json = dict[str, Any]


def refused(message: str) -> BadRequest:
    return BadRequest(message, code="invalid_text_request")


def text(document: Json, name: str) -> str:
    """ "" when absent."""
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise refused(f"{name} must be a string")
    return value


def whole(document: Json, name: str) -> int | None:
    """A whole number; 3.0 is one, as JSON writers of some languages send it."""
    value = document.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise refused(f"{name} must be an integer")
    return value


def number(document: Json, name: str) -> float | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise refused(f"{name} must be a number")
    return value


def flag(document: Json, name: str) -> bool | None:
    value = document.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise refused(f"{name} must be a boolean")


def mapping(document: Json, name: str) -> Json | None:
    value = document.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise refused(f"{name} must be an object")


def items(document: Json, name: str) -> list[Json]:
    """A list of objects; [] when absent."""
    value = document.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise refused(f"{name} must be a list of objects")
    return value


def texts(document: Json, name: str) -> list[str]:
    """A text or a list of texts as a list; [] when absent."""
    value = document.get(name)
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise refused(f"{name} must be a string or a list of strings")
    return value
