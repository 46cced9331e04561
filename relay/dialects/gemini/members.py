"""Members of Gemini's messages. Protocol buffers' JSON takes every name in camelCase and in snake_case.

https://protobuf.dev/programming-guides/json/. A member given in both is refused: an upstream may read the other one
than was priced.
"""

from __future__ import annotations

from functools import lru_cache

from relay.dialects import members
from relay.dialects.members import Json, refused


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    head, *rest = name.lstrip("_").split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def message(document: Json) -> Json:
    """The message with all names in camelCase, one level deep. Raises BadRequest for a member given twice."""
    named = {camel(name): value for name, value in document.items()}
    if len(named) != len(document):
        raise refused("a member is given twice, in camelCase and in snake_case")
    return named


def inner(document: Json, name: str) -> Json:
    """A message inside a message; {} when absent. `document` has its names in camelCase already."""
    return message(members.mapping(document, name) or {})


def inners(document: Json, name: str) -> list[Json]:
    return [message(item) for item in members.items(document, name)]
