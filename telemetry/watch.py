"""What a worker knows of itself, brought to the board once a second: no call pays for it."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from relay.worker import Worker
from telemetry import board, calls, families
from telemetry.families import MICRO

EVERY = 0.2  # seconds between two looks at the event loop
LOOKS = 5  # of them to a look at the rest
MINUTE = 300  # looks


class Watch:
    """Of the event loop. `start` and `stop` once each."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._cells = board.cells()
        self._due = 0.0  # loop time of the next look
        self._looks = 0
        self._late: deque[int] = deque(maxlen=MINUTE)
        self._version = -1
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._wait(asyncio.get_running_loop())
        self._look_around()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + EVERY
        self._timer = loop.call_at(self._due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        late = max(0, int((loop.time() - self._due) * MICRO))
        self._late.append(late)
        self._cells[families.LOOP_LAG.at()] = late
        self._looks += 1
        if self._looks % LOOKS == 0:
            self._cells[families.LOOP_LAG_WORST.at()] = max(self._late)
            self._look_around()
        self._wait(loop)

    def _look_around(self) -> None:
        cells, now = self._cells, int(time.time())
        snapshot = self._worker.snapshot
        if snapshot is not None and snapshot.version != self._version:
            self._version = snapshot.version
            cells[families.SNAPSHOT_VERSION.at()] = self._version
            cells[families.SNAPSHOT_LOADED.at()] = now
        cells[families.IDENTITIES.at()] = self._worker.callers.remembered
        cells[families.TICKED.at()] = now
        calls.show_channels(self._worker.health.seen())
