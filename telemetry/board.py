"""Memory that all workers of a node share: each counts in a slot of its own, any of them reads them all.

A slot is a row of 64-bit integers. It is anonymous memory that the supervisor maps before it forks: there are no files
to tidy up and no locks, since a cell has one writer. What a worker has counted stays when it dies, even by SIGKILL, and
the worker that takes its place goes on from there: a counter of the node never falls.
"""

from __future__ import annotations

import mmap
import os
import time

SLOT = 8192  # cells of a slot
PID, RESERVED = 0, 1  # the cells at its beginning: who counts here; when it was promised, in monotonic seconds
FIRST = 8  # the first cell of a figure
BOOTING = 60  # seconds a worker may take from being promised a slot to taking it


class Board:
    def __init__(self, slots: int) -> None:
        self._memory = mmap.mmap(-1, slots * SLOT * 8)
        self._cells = memoryview(self._memory).cast("q")
        self._slots = slots

    def reserve(self) -> int | None:
        """A slot for a worker about to be forked; None where all are taken, and it will not be counted.

        Called by the supervisor alone, which makes one worker after the other.
        """
        now = int(time.monotonic()) + 1
        for slot in range(self._slots):
            cells = self.slot(slot)
            if cells[PID] == 0 and now - cells[RESERVED] < BOOTING and cells[RESERVED]:
                continue
            if cells[PID] and alive(cells[PID]):
                continue
            cells[PID], cells[RESERVED] = 0, now
            return slot
        return None

    def take(self, slot: int) -> memoryview:
        """The cells of this process from now on."""
        cells = self.slot(slot)
        cells[PID] = os.getpid()
        return cells

    def slot(self, slot: int) -> memoryview:
        return self._cells[slot * SLOT : (slot + 1) * SLOT]

    def slots(self) -> list[memoryview]:
        return [self.slot(slot) for slot in range(self._slots)]


class _Here:
    """What this process counts on: a slot of the board its supervisor made, or a board of its own."""

    shared: Board | None = None
    workers: int = 1
    board: Board | None = None
    cells: memoryview | None = None


def prepare(workers: int) -> None:
    """By the supervisor, before the first fork. Room for a second generation of workers beside the first."""
    if _Here.shared is None:
        _Here.shared, _Here.workers = Board(2 * workers + 4), workers


def reserve() -> int | None:
    assert _Here.shared is not None
    return _Here.shared.reserve()


def workers() -> int:
    """How many processes of this node the supervisor was told to run."""
    return _Here.workers


def take(slot: int | None) -> None:
    """By a worker, before it serves. None: it counts for itself."""
    if slot is None:
        _Here.board, slot = Board(1), 0
    else:
        _Here.board = _Here.shared
    assert _Here.board is not None
    _Here.cells = _Here.board.take(slot)


def cells() -> memoryview:
    """The cells this process counts in; until it takes a slot, its own."""
    if _Here.cells is None:
        take(None)
    assert _Here.cells is not None
    return _Here.cells


def all_cells() -> list[memoryview]:
    """The slots of all workers of this node, of those that have gone too."""
    cells()
    assert _Here.board is not None
    return _Here.board.slots()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
