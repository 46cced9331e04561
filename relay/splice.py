"""Changing single members of a JSON object without touching the rest of its bytes.

Numbers, unknown members, white space and the order of everything else stay as the caller wrote them.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache, partial
from typing import Any

import orjson

from config import weight
from relay.errors import BadRequest, TooLarge

_DECODER = json.JSONDecoder()
LONGEST = 1024  # characters of all names together that are remembered
ONCE = frozenset({1})
_WHITE = re.compile(rb"[ \t\n\r]*+")
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_VALUE = re.compile(_STRING + rb"|[^\s\[\]{},:\"]++", re.DOTALL)
_STEP = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
MOST_MEMBERS = 1000  # of the body itself; no API has a tenth of them
SEARCHED = 16 * 1024 * 1024  # bytes that may be gone through to find the usual body free of doubles
DEEPEST = 254  # levels that orjson writes; it reads 1,024


def parse(body: bytes, code: str = "invalid_text_request") -> dict[str, Any]:
    """The body as a JSON object. Raises TooLarge; BadRequest: not JSON, not an object, nested absurdly, a member twice.

    A second member of the same name (or the same but for case) is refused because an upstream may read the other
    one than we priced (relay reference, 13.1 row 49).
    """
    if weight.too_heavy(body):
        raise TooLarge("the request body has too many values, or too long ones, to be read")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the request body is not valid JSON: {error}", code=code) from None
    if not isinstance(document, dict):
        raise BadRequest("the request body must be a JSON object", code=code)
    if body.count(b"[") + body.count(b"{") > DEEPEST and not _can_be_written(document):
        raise BadRequest("the request body is nested too deeply", code=code)
    if len(document) > MOST_MEMBERS:
        raise BadRequest("the request body has too many members", code=code)
    names = tuple(document)
    distinct, written = _names(names) if sum(map(len, names)) <= LONGEST else _names.__wrapped__(names)
    if not distinct:
        raise BadRequest("a member occurs twice in the request body, in different case", code=code)
    if _may_repeat(body, written):
        found = [name for name, _, _ in members(body)]
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
    if written is None or b"\\u" in body or b"\\/" in body or len(body) * len(written) > SEARCHED:
        return True
    return bool(set(map(body.count, written)) - ONCE)


@lru_cache(maxsize=4096)
def _names(names: tuple[str, ...]) -> tuple[bool, tuple[bytes, ...] | None]:
    """Whether they differ in more than case, and how each stands in a body; None: there is another way to write one."""
    distinct = len({name.casefold() for name in names}) == len(names)
    plain = all(name.isprintable() and '"' not in name and "\\" not in name for name in names)
    return distinct, tuple(b'"%b"' % name.encode() for name in names) if plain else None


def members(body: bytes) -> list[tuple[str, int, int]]:
    """The members of the object as (name, start of the value, end of the value), in order, doubles included.

    `body` is JSON, as `parse` has found out.
    """
    found: list[tuple[str, int, int]] = []
    end = partial(_end, body) if len(body) > weight.LIGHT else partial(_end_of_small, body.decode("latin-1"))
    position = _after_white(body, 0) + 1  # past the brace
    while True:
        position = _after_white(body, position)
        if body.startswith(b"}", position):
            return found
        if body.startswith(b",", position):
            position += 1
            continue
        after = end(position)
        name: str = orjson.loads(body[position:after])
        start = _after_white(body, _after_white(body, after) + 1)  # past the colon
        position = end(start)
        found.append((name, start, position))


def first_item(body: bytes, start: int) -> tuple[int, int]:
    """Where the first item of the array that begins at `start` begins and ends. The array is not empty."""
    begin = _after_white(body, start + 1)
    return begin, _end(body, begin)


def _after_white(body: bytes, position: int) -> int:
    return _WHITE.match(body, position).end()  # type: ignore[union-attr]  # it matches nothing, too


def _end_of_small(text: str, start: int) -> int:
    """As `_end`, ten times as fast, but it makes every value. `text`: a character for each byte."""
    return _DECODER.raw_decode(text, start)[1]


def _end(body: bytes, start: int) -> int:
    """Where the value ends that begins at `start`. Nothing is copied: a value may be most of a long body."""
    if plain := _VALUE.match(body, start):
        return plain.end()
    depth = 0
    for step in _STEP.finditer(body, start):
        mark = body[step.start()]
        if mark in b"[{":
            depth += 1
        elif mark in b"]}":
            depth -= 1
            if not depth:
                return step.end()
    raise AssertionError("the body was JSON when it was parsed")


def replace(body: bytes, document: dict[str, Any], changes: dict[str, Any]) -> bytes:
    """The body with these members set; those it lacks are put in front. `document` is its parsed form.

    A value that is an orjson.Fragment is written as it stands.
    """
    present = {name for name in changes if name in document}
    if present:
        pieces: list[bytes | memoryview] = []
        whole, position = memoryview(body), 0
        for name, start, end in members(body):
            if name in present:
                pieces += [whole[position:start], orjson.dumps(changes[name])]
                position = end
        body = b"".join([*pieces, whole[position:]])
    missing = {name: value for name, value in changes.items() if name not in document}
    if missing:
        brace = body.index(b"{") + 1
        added = orjson.dumps(missing)[1:-1]
        comma = b"," if document else b""
        body = body[:brace] + added + comma + body[brace:]
    return body
