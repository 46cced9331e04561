"""A clock that ticks at fixed times, to some ten microseconds; event loops round their timers to whole milliseconds."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

ABSOLUTE = 1  # TFD_TIMER_ABSTIME of timerfd_create(2)


class _Spec(ctypes.Structure):
    """struct itimerspec: interval and first tick, each in seconds and nanoseconds."""

    _fields_ = [(name, ctypes.c_long) for name in ("every", "every_ns", "first", "first_ns")]


class Metronome:
    """Calls `due(moment)` in the running loop for each tick: `count` of them from now on, `rate` a second.

    `moment` is when the tick was due (time.monotonic), however late the call comes; ticks are never dropped.
    """

    def __init__(self, rate: float, count: int, due: Callable[[float], None]) -> None:
        self._every = max(1, round(1e9 / rate))  # nanoseconds
        self._left, self._due = count, due
        self.over = asyncio.get_running_loop().create_future()
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        self._next = time.monotonic_ns() + self._every
        spec = _Spec(*divmod(self._every, 10**9), *divmod(self._next, 10**9))
        if self._descriptor < 0 or libc.timerfd_settime(self._descriptor, ABSOLUTE, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd")
        asyncio.get_running_loop().add_reader(self._descriptor, self._ticked)

    def _ticked(self) -> None:
        try:
            ticks = int.from_bytes(os.read(self._descriptor, 8), "little")
        except BlockingIOError:
            return
        for _ in range(min(ticks, self._left)):
            self._due(self._next / 1e9)
            self._next += self._every
            self._left -= 1
        if not self._left and not self.over.done():
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self.over.set_result(None)
