"""Reading what a caller sends: JSON bodies, query parameters, ids in paths (management contract, 1.4)."""

from __future__ import annotations

import math
from typing import Any

import orjson
from rest_framework.request import Request

from api import messages
from api.envelope import Refusal
from config.weight import too_heavy

MAX_BODY = 10 * 1024 * 1024  # bytes
INTEGERS = range(-(2**63), 2**63)


class BadBody(ValueError):
    """Not JSON, or a member of the wrong type. The text is for the routes that echo the decoder."""


class Body:
    """A JSON object read member by member. `null` and absent are both "not given"; others are ignored."""

    def __init__(self, members: dict[str, Any]) -> None:
        self.members = members

    def __contains__(self, name: str) -> bool:
        return self.members.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        value = self.members.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise BadBody(f"json: cannot unmarshal {_kind(value)} into field {name} of type string")
        if "\x00" in value:
            raise BadBody(f"json: NUL character in field {name}")
        return value

    def integer(self, name: str, default: int = 0) -> int:
        value = self.members.get(name)
        if value is None:
            return default
        if type(value) is not int or value not in INTEGERS:
            raise BadBody(f"json: cannot unmarshal {_kind(value)} into field {name} of type int64")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.members.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise BadBody(f"json: cannot unmarshal {_kind(value)} into field {name} of type bool")
        return value


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def read_body(request: Request) -> Body:
    """The body as JSON, whatever its Content-Type says. Raises BadBody."""
    raw = request._request.body
    if len(raw) > MAX_BODY or too_heavy(raw):  # sent in chunks, so that nothing announced its length
        raise Refusal(messages.BODY_TOO_LARGE, status=413)
    if not raw.strip():
        raise BadBody("EOF")
    try:
        members = orjson.loads(raw)
    except ValueError as error:
        raise BadBody(f"invalid JSON: {error}") from None
    if members is None:
        members = {}
    if not isinstance(members, dict):
        raise BadBody(f"json: cannot unmarshal {_kind(members)} into an object")
    return Body(members)


def query_text(request: Request, name: str) -> str:
    return str(request.query_params.get(name, "")).replace("\x00", "")


def query_integer(request: Request, name: str) -> int:
    """Leniently: nothing or nonsense is 0. One theme sends times as fractions; those are cut."""
    return lenient_integer(query_text(request, name))


def lenient_integer(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        try:
            number = float(text)
        except ValueError:
            return 0
        value = int(number) if math.isfinite(number) else 0
    return value if value in INTEGERS else 0


def path_id(text: str) -> int:
    """A path's id where nonsense is an error of its own. Raises Refusal with the reference's text."""
    try:
        value = int(text) if text.isascii() else None
    except ValueError:
        value = None
    if value is None or "_" in text:
        raise Refusal(f'strconv.Atoi: parsing "{text}": invalid syntax')
    if value not in INTEGERS:
        raise Refusal(f'strconv.Atoi: parsing "{text}": value out of range')
    return value


def required(request: Request, condition: object) -> None:
    """Raises the translated "invalid parameter" unless the condition holds."""
    if not condition:
        raise Refusal(messages.invalid_parameter(request._request))
