"""Request ids: local time to the second, the nanosecond part, eight random digits (relay contract, 1.1)."""

from __future__ import annotations

import random
import time

_second = (-1, "")


def new() -> str:
    """An opaque id of 23 to 31 digits, unique for all practical purposes."""
    global _second  # the formatted second, worth remembering: strftime costs more than the rest
    # Not secrets: a call to the system lets go of the GIL, and the books' thread takes it. Seeded anew after a fork.
    nanoseconds = time.time_ns()
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    if seconds != _second[0]:
        _second = (seconds, time.strftime("%Y%m%d%H%M%S", time.localtime(seconds)))
    return f"{_second[1]}{rest}{random.randrange(10_000_000, 100_000_000)}"  # noqa: S311
