"""Changing single members of a JSON object without touching the rest of its bytes.

Numbers, unknown members, white space and the order of everything else stay as the caller wrote them.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import orjson

from relay.errors import BadRequest

_WHITE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
LONGEST = 1024  # characters of all names together that are remembered
ONCE = frozenset({1})
DEEPEST = 254  # levels that orjson writes; it reads 1,024


def parse(body: bytes, code: str = "invalid_text_request") -> dict[str, Any]:
    """The body as a JSON object. Raises BadRequest: not JSON, not an object, nested absurdly, a member twice.

    A second member of the same name (or the same but for case) is refused because an upstream may read the other
    one than we priced (relay reference, 13.1 row 49).
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the request body is not valid JSON: {error}", code=code) from None
    if not isinstance(document, dict):
        raise BadRequest("the request body must be a JSON object", code=code)
    if body.count(b"[") + body.count(b"{") > DEEPEST and not _can_be_written(document):
        raise BadRequest("the request body is nested too deeply", code=code)
    names = tuple(document)
    distinct, written = _names(names) if sum(map(len, names)) <= LONGEST else _names.__wrapped__(names)
    if not distinct:
        raise BadRequest("a member occurs twice in the request body, in different case", code=code)
    if _may_repeat(body, written):
        found = [name for name, _, _ in members(body.decode())]
        if len(found) != len(set(found)):
            raise BadRequest("a member occurs twice in the request body", code=code)
    return document


def _can_be_written(document: dict[str, Any]) -> bool:
    """Whether the writer takes it too. It goes less deep than the reader, and all that walks a document goes by it."""
    try:
        orjson.dumps(document)
    except orjson.JSONEncodeError:
        return False
    return True


def _may_repeat(body: bytes, written: tuple[bytes, ...] | None) -> bool:
    """Cheap and never wrong when it says no: a name that is written once, unescaped, cannot occur twice."""
    if written is None or b"\\u" in body or b"\\/" in body:
        return True
    return bool(set(map(body.count, written)) - ONCE)


@lru_cache(maxsize=4096)
def _names(names: tuple[str, ...]) -> tuple[bool, tuple[bytes, ...] | None]:
    """Whether they differ in more than case, and how each stands in a body; None: there is another way to write one."""
    distinct = len({name.casefold() for name in names}) == len(names)
    plain = all(name.isprintable() and '"' not in name and "\\" not in name for name in names)
    return distinct, tuple(b'"%b"' % name.encode() for name in names) if plain else None


def members(text: str) -> list[tuple[str, int, int]]:
    """The members of the object as (name, start of the value, end of the value), in order, doubles included."""
    found: list[tuple[str, int, int]] = []
    position = _WHITE.match(text).end() + 1  # type: ignore[union-attr]  # past the brace
    while True:
        position = _WHITE.match(text, position).end()  # type: ignore[union-attr]
        if text[position] == "}":
            return found
        if text[position] == ",":
            position += 1
            continue
        name, position = _DECODER.raw_decode(text, position)
        position = _WHITE.match(text, position).end() + 1  # type: ignore[union-attr]  # past the colon
        start = _WHITE.match(text, position).end()  # type: ignore[union-attr]
        _, position = _DECODER.raw_decode(text, start)
        found.append((name, start, position))


def first_item(text: str, start: int) -> tuple[int, int]:
    """Where the first item of the array that begins at `start` begins and ends. The array is not empty."""
    begin = _WHITE.match(text, start + 1).end()  # type: ignore[union-attr]
    return begin, _DECODER.raw_decode(text, begin)[1]


def replace(body: bytes, document: dict[str, Any], changes: dict[str, Any]) -> bytes:
    """The body with these members set; those it lacks are put in front. `document` is its parsed form.

    A value that is an orjson.Fragment is written as it stands.
    """
    present = {name for name in changes if name in document}
    if present:
        text = body.decode()
        pieces = []
        position = 0
        for name, start, end in members(text):
            if name in present:
                pieces += [text[position:start], orjson.dumps(changes[name]).decode()]
                position = end
        body = ("".join(pieces) + text[position:]).encode()
    missing = {name: value for name, value in changes.items() if name not in document}
    if missing:
        brace = body.index(b"{") + 1
        added = orjson.dumps(missing)[1:-1]
        comma = b"," if document else b""
        body = body[:brace] + added + comma + body[brace:]
    return body
