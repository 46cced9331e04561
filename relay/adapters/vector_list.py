"""Lists of embeddings, whatever their members are called."""

from __future__ import annotations

from typing import Any

from relay.adapters.shape import items, number
from relay.errors import UpstreamError


def vectors_in(entries: Any, index: str, vector: str) -> list[list[float] | str]:
    """In the order of the inputs. `index`, `vector`: the members of an entry. Raises UpstreamError: they are none."""
    ordered = sorted(items(entries), key=lambda entry: number(entry.get(index)))
    vectors: list[list[float] | str] = []
    for entry in ordered:
        found = entry.get(vector)
        if not isinstance(found, list) or not all(type(figure) in (int, float) for figure in found):
            raise UpstreamError("the upstream's answer holds a vector that is none", code="bad_response")
        vectors.append(found)
    if not vectors:
        raise UpstreamError("the upstream's answer holds no vectors", code="empty_answer")
    return vectors
