"""Request ids: local time to the second, the nanosecond part, eight random digits (relay contract, 1.1)."""

from __future__ import annotations

import secrets
import time

_second = (-1, "")


def new() -> str:
    """An opaque id of 23 to 31 digits, unique for all practical purposes."""
    global _second  # the formatted second, worth remembering: strftime costs more than the rest
    nanoseconds = time.time_ns()
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    if seconds != _second[0]:
        _second = (seconds, time.strftime("%Y%m%d%H%M%S", time.localtime(seconds)))
    return f"{_second[1]}{rest}{secrets.randbelow(90_000_000) + 10_000_000}"
