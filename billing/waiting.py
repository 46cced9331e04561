"""What a call has handed to the books and waits for, on its way from the event loop to the books' thread and back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from billing.batch import Entry, Hold, Outcome, Progress, Settlement

HOLD_PATIENCE = 10.0  # seconds a hold, or a failure, waits for a database that is away
SETTLE_PATIENCE = 120.0  # seconds a finished call waits for it
GENERATED = (Settlement, Progress)  # they tell of what an upstream has made already


class BooksClosed(RuntimeError):
    """The database did not take the entry in time, or the worker is stopping."""


@dataclass(slots=True)
class Waiting:
    """An entry and whoever waits for it. All times are monotonic seconds."""

    entry: Entry
    future: asyncio.Future[Outcome]  # the event loop's; no other thread touches it
    deadline: float  # a database that is away is not waited for any longer
    patience: float  # a BUSY hold is not tried again after it
    since: float  # when it came
    first: Hold | None = None  # the hold of this settlement, which goes with it and that nobody else waits for
    again: bool = False  # an attempt failed, perhaps after its commit


Answered = tuple[Waiting, Outcome | BooksClosed]


def patience(entry: Entry) -> float:
    """Seconds that it waits for a database that is away."""
    return SETTLE_PATIENCE if isinstance(entry, GENERATED) else HOLD_PATIENCE
