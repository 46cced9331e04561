"""Request ids: local time to the second, the nanosecond part, eight random digits (relay contract, 1.1)."""

from __future__ import annotations

import random
import time
from functools import lru_cache


@lru_cache(maxsize=2)
def _written(second: int) -> str:
    """The formatted second, worth remembering: formatting costs more than all the rest."""
    return time.strftime("%Y%m%d%H%M%S", time.localtime(second))


def new() -> str:
    """An opaque id of 23 to 31 digits, unique for all practical purposes."""
    # Not secrets: a call to the system lets go of the GIL, and the books' thread takes it. Seeded anew after a fork.
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{_written(seconds)}{rest}{int(10_000_000 + random.random() * 90_000_000)}"  # noqa: S311
