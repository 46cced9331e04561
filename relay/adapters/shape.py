"""Members of an upstream's JSON, whatever shape they really have: the wrong shape reads as "absent", never as an error.

Upstreams leave members out, send null for them, or numbers as text. An adapter reads through these, so that no bytes
of an upstream can raise anything but the UpstreamError of `document`.
"""

from __future__ import annotations

import math
from typing import Any

import orjson

from relay.errors import UpstreamError

Json = dict[str, Any]

MOST = 2**63 - 1
MOST_TOKENS = 10**9  # of one call; an upstream that reports more is not believed


def document(body: bytes) -> Json:
    """A whole answer's JSON object. Raises UpstreamError: it is not JSON, or no object."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UpstreamError("the upstream's answer is not JSON", code="unmarshal_response_body_failed") from error
    if not isinstance(value, dict):
        raise UpstreamError("the upstream's answer is not a JSON object", code="unmarshal_response_body_failed")
    return value


def chunk(data: bytes) -> Json:
    """The object of one event or line of a stream; what is no object reads as {}."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Json]:
    """The objects of a list; entries that are none are left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def number(value: Any) -> int:
    """A whole number, negative ones included; 0 for what is none. Floats are cut, booleans are no numbers.

    A float may be beyond 64 bits; the nearest number within them stands for it, since JSON is written in no more.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return int(min(max(value, -MOST), MOST))


def real(value: Any) -> float:
    """A finite number; 0.0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return float(value)


def clamped(value: Any) -> int:
    """A token count as reported; what is negative, absurd or no number counts as 0 or the bound."""
    return min(max(number(value), 0), MOST_TOKENS)
