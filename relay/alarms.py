"""Many time limits, few timers: nearly every limit is withdrawn long before it would strike.

A timer of the event loop is made and torn down for each wait, several times a call. Here a limit is an entry in a set
that is looked at when its time has come, ten times a second and only while there are any. So it strikes up to TICK
later than asked and never earlier: good enough for limits of whole seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TICK = 0.1  # seconds


class Alarm:
    """`cancel` withdraws it; what has struck need not be withdrawn, but may."""

    __slots__ = ("_others", "strike")

    def __init__(self, strike: Callable[[], None], others: set[Alarm]) -> None:
        self.strike = strike
        self._others = others

    def cancel(self) -> None:
        self._others.discard(self)


class Alarms:
    """Those of one event loop. All methods belong to its thread."""

    def __init__(self) -> None:
        self._due: dict[int, set[Alarm]] = {}  # number of the tick -> what strikes then
        self._last = 0  # the last tick that was looked at
        self._looking = False

    def set(self, seconds: float, strike: Callable[[], None]) -> Alarm:
        """Call `strike` in `seconds` or a little later, unless the alarm is cancelled before."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        tick = int((now + seconds) / TICK) + 1
        together = self._due.get(tick)
        if together is None:
            together = self._due[tick] = set()
            if not self._looking:
                self._looking = True
                self._last = int(now / TICK)
                loop.call_at((self._last + 1) * TICK, self._look, loop)
        alarm = Alarm(strike, together)
        together.add(alarm)
        return alarm

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = int(loop.time() / TICK)
        for tick in range(self._last + 1, now + 1):
            for alarm in list(self._due.pop(tick, ())):
                alarm.strike()
        self._last = max(self._last, now)
        self._looking = bool(self._due)
        if self._looking:
            loop.call_at((self._last + 1) * TICK, self._look, loop)
