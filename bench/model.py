"""What a worker carries, by a model of two numbers, beside what was measured: `python -m bench.model`.

A worker writes its calls in batches: one transaction for all that wait. A batch of B calls takes `batch + B x call`
milliseconds, so a worker carries `B / (batch + B x call)` calls a millisecond. `call` is what each call costs a core,
`batch` what each transaction takes whatever its size: statements, round trips, the commit's sync. Of N connections
that call again at once, about half are in one batch while the other half gather for the next (docs/performance.md).

The two numbers of each database come from the bench of one day, and are held against the bench of others: a machine
whose floor is f times as fast is expected to carry f times as much.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Point:
    """A measurement: `calls_s` with so many connections. `speed`: this day's floor over that of the day of the fit."""

    database: str
    connections: int
    calls_s: float
    speed: float = 1.0
    day: str = ""

    @property
    def batch(self) -> float:
        return batch_of(self.connections)


@dataclass(frozen=True, slots=True)
class Worker:
    """Milliseconds on the machine of the fit."""

    batch: float
    call: float

    def carries(self, batch: float, speed: float = 1.0) -> float:
        """Calls a second in batches of that size, by one worker with a core of its own."""
        return 1000 * speed * batch / (self.batch + batch * self.call)

    @property
    def most(self) -> float:
        """What no size of batch goes beyond."""
        return 1000 / self.call


# The bench of 2026-11-24 (floor: 6,830 and 5,340 calls a second at 32 and 128 connections).
FIT = (
    Point("SQLite", 32, 2010), Point("SQLite", 128, 2740),
    Point("PostgreSQL", 32, 1140), Point("PostgreSQL", 128, 1720),
    Point("MariaDB", 32, 1330), Point("MariaDB", 128, 2000),
)  # fmt: skip
# 2026-11-29, in the morning: floor 9,635 and 7,594; and, of each database, ten seconds of its own at 32 connections.
DAY = "2026-11-29"
SPEED = (9635 / 6830 + 7594 / 5340) / 2
CHECK = (
    Point("SQLite", 32, 3635, SPEED, DAY), Point("SQLite", 128, 4207, SPEED, DAY),
    Point("SQLite", 32, 3846, SPEED, DAY),
    Point("PostgreSQL", 32, 0.18 * 9635, SPEED, DAY), Point("PostgreSQL", 128, 0.28 * 7594, SPEED, DAY),
    Point("PostgreSQL", 32, 1810, SPEED, DAY),
    Point("MariaDB", 32, 2018, SPEED, DAY),
)  # fmt: skip


def batch_of(connections: int) -> float:
    return max(1.0, connections / 2)


def fit(points: Iterable[Point]) -> Worker:
    """The line of time a batch over its size, by least squares of relative errors. Raises ValueError for one size."""
    found = [(point.batch, 1000 * point.speed * point.batch / point.calls_s) for point in points]
    weights = [1 / took**2 for _, took in found]
    total = math.fsum(weights)
    mean_size = math.fsum(w * size for w, (size, _) in zip(weights, found, strict=True)) / total
    mean_took = math.fsum(w * took for w, (_, took) in zip(weights, found, strict=True)) / total
    spread = math.fsum(w * (size - mean_size) ** 2 for w, (size, _) in zip(weights, found, strict=True))
    if not spread:
        raise ValueError("two numbers of connections at least")
    both = math.fsum(
        w * (size - mean_size) * (took - mean_took) for w, (size, took) in zip(weights, found, strict=True)
    )
    call = both / spread
    return Worker(batch=mean_took - call * mean_size, call=call)


def workers(points: Iterable[Point] = FIT) -> dict[str, Worker]:
    by_database: dict[str, list[Point]] = {}
    for point in points:
        by_database.setdefault(point.database, []).append(point)
    return {database: fit(found) for database, found in by_database.items()}


def hot_row(batch: float, held_ms: float) -> float:
    """Calls a second on one row (a user, a channel) that many workers write: one holds its lock at a time."""
    return 1000 * batch / held_ms


def report(fitted: Mapping[str, Worker], points: Iterable[Point]) -> str:
    lines = [f"{'database':12} {'batch ms':>9} {'call ms':>8} {'most':>7}"]
    lines += [f"{name:12} {one.batch:9.2f} {one.call:8.3f} {one.most:7,.0f}" for name, one in fitted.items()]
    lines += ["", f"{'database':12} {'conn.':>5} {'day':>12} {'measured':>9} {'model':>7} {'off':>6}"]
    for point in points:
        model = fitted[point.database].carries(point.batch, point.speed)
        off = model / point.calls_s - 1
        where = f"{point.database:12} {point.connections:5d} {point.day or 'of the fit':>12}"
        lines.append(f"{where} {point.calls_s:9,.0f} {model:7,.0f} {off:6.0%}")
    return "\n".join(lines)


def read_point(text: str) -> Point:
    """`PostgreSQL:32=1140`: database, connections, calls a second."""
    database, _, rest = text.partition(":")
    connections, _, calls_s = rest.partition("=")
    return Point(database, int(connections), float(calls_s))


def read_bench(path: Path) -> list[Point]:
    """What `make bench` measured of gateways that bill, but for one connection, which waits for its own commits."""
    subjects = json.loads(path.read_text())["subjects"]
    return [
        Point(subject["title"].removeprefix("gateway, "), int(connections), rate)
        for subject in subjects
        if subject["billed"]
        for connections, rate in subject["rate"].items()
        if int(connections) > 1 and rate
    ]


def read(text: str) -> list[Point]:
    return read_bench(Path(text)) if text.endswith(".json") else [read_point(text)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "points",
        nargs="*",
        type=read,
        metavar="POINT",
        help="fit these: results of the bench (bench/results/….json), or DATABASE:CONNECTIONS=CALLS, two a database",
    )
    given = [point for points in parser.parse_args().points for point in points]
    try:
        print(report(workers(given), given) if given else report(workers(), (*FIT, *CHECK)))
    except ValueError as refusal:
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
