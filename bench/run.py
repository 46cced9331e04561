"""One run: who takes part, and how a point is measured so that all are treated alike."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench import books, load, machine
from bench.result import SQLITE
from bench.sides import Place, Side

SETTLE = 3  # seconds of quiet before memory is called what stays


@dataclass
class Run:
    options: argparse.Namespace
    place: Place
    sides: list[Side]
    many: dict[str, Any] = field(default_factory=dict)

    @property
    def gateways(self) -> list[Side]:
        return [side for side in self.sides if side.gateway]

    @property
    def billed(self) -> list[Side]:
        """SQLite's first, where it takes part."""
        return sorted(
            (side for side in self.sides if side.subject.billed), key=lambda side: side.subject.name != SQLITE
        )

    def in_turns(self, sides: Sequence[Side], number: int) -> Sequence[Side]:
        """Every second round backwards: nobody always follows the same neighbour."""
        return sides if number % 2 == 0 else [*reversed(sides)]

    def ask(self, side: Side, connections: int, seconds: float, *, paced: bool = False) -> load.Point:
        """Plain calls in a closed loop; over the upstream that takes its time where `paced`."""
        core = self.place.load_core
        self.pin(side)
        spent = machine.cpu_seconds(side.pid) if side.pid else 0.0
        point = load.plain(side.paced if paced else side.plain, connections, seconds, core)
        if side.pid and point.calls:
            point = replace(point, cpu=(machine.cpu_seconds(side.pid) - spent) / point.calls * 1e6)
        side.answered += point.calls - point.refused
        side.cut_off += connections
        return point

    def pin(self, side: Side) -> None:
        """The database server's ends of its connections belong on the load's core."""
        if side.gateway:
            side.subject.pinned = side.gateway.database.pin(self.place.load_core)

    def warm(self) -> None:
        """Connections, caches and code paths are there when it counts."""
        for side in self.sides:
            self.ask(side, 32, min(1.0, self.options.seconds))

    def close(self) -> None:
        """What memory stays, and whether the books are exact."""
        for side in self.gateways:
            side.subject.peak = max(side.subject.peak, machine.peak(side.pid))
        time.sleep(min(SETTLE, self.options.seconds))
        for side in self.gateways:
            subject = side.subject
            subject.after = machine.resident(side.pid)
            assert side.gateway is not None
            if subject.billed:
                verdict = books.check(side.gateway.database, side.answered, side.cut_off, side.streamed)
                subject.books, subject.exact = str(verdict), not verdict.problems
            else:
                written = books.charges(side.gateway.database)
                subject.books, subject.exact = f"{written:,} charges written", not written
            if not subject.pinned:
                self.place.notes.append(f"{subject.title}: its server could not be kept to the load's core")


def say(line: str) -> None:
    """Progress, beside the table."""
    print(line, file=sys.stderr, flush=True)
