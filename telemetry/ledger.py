"""What the books note, with their thread as the only writer; a few times a transaction."""

from __future__ import annotations

import time
from bisect import bisect_left

from telemetry import board, families
from telemetry.families import ENTRIES, MICRO, SECONDS

_cells = board.cells()
_SIZE, _COMMIT, _LAG = families.BATCH_ENTRIES.at(), families.COMMIT_SECONDS.at(), families.LAG_SECONDS.at()
_AWAY, _REFUSED = (families.BATCH_FAILURES.at(reason) for reason in families.FAILURE_REASONS)
_IN_A_ROW, _GIVEN_UP = families.IN_A_ROW.at(), families.GIVEN_UP.at()
_SWEPT = families.SWEPT.at()


def take_over() -> None:
    """As `calls.take_over`; what the worker before us could not write in a row is no longer true."""
    global _cells  # noqa: PLW0603 (as there)
    _cells = board.cells()
    _cells[_IN_A_ROW] = 0


def written(entries: int, began: float, oldest: float) -> None:
    """A transaction is durable. `began`, and when its oldest entry came: monotonic seconds."""
    now = time.monotonic()
    _cells[_SIZE + bisect_left(ENTRIES, entries)] += 1
    _cells[_SIZE + len(ENTRIES) + 1] += entries * MICRO
    for base, seconds in ((_COMMIT, now - began), (_LAG, now - oldest)):
        _cells[base + bisect_left(SECONDS, seconds)] += 1
        _cells[base + len(SECONDS) + 1] += int(seconds * MICRO)
    _cells[_IN_A_ROW] = 0


def failed(away: bool, in_a_row: int) -> None:
    """A transaction was not taken."""
    _cells[_AWAY if away else _REFUSED] += 1
    _cells[_IN_A_ROW] = in_a_row


def given_up(entries: int) -> None:
    _cells[_GIVEN_UP] += entries


def swept(holds: int) -> None:
    _cells[_SWEPT] += holds
