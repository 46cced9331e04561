"""The figures as one table for people and one JSON file for comparisons."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from bench.load import Point

FLOOR = "floor"
OWN_FLOOR = "own-floor"
DIRECT = "direct"
GOAL = 0.35  # of the floor, at 32 and at 128 connections
GOAL_LATER = 0.5
GOAL_RATE = 1500  # calls/s where the floor reaches GOAL_FLOOR
GOAL_FLOOR = 5000
GOAL_GAP = 200.0  # ms between two events
GOAL_MEMORY = 400 * 2**20  # bytes


@dataclass
class Subject:
    """Somebody who is measured. `rounds[connections]` has one point a round, the same round for everybody."""

    name: str
    title: str
    billed: bool = False
    rounds: dict[int, list[Point]] = field(default_factory=dict)
    streams: list[dict[str, float]] = field(default_factory=list)
    books: str = ""
    exact: bool = True
    idle: int = 0
    peak: float = 0
    cold_start: float = 0.0
    pinned: bool = True
    database: str = ""

    def rate(self, connections: int) -> float:
        return median(point.rate for point in self.rounds[connections])

    def cpu(self, connections: int) -> float:
        return median(point.cpu for point in self.rounds[connections])


@dataclass
class Result:
    date: str
    commit: str
    machine: Mapping[str, object]
    generator: str
    upstream: str
    seconds: float
    subjects: list[Subject]
    notes: list[str] = field(default_factory=list)

    def find(self, name: str) -> Subject | None:
        return next((subject for subject in self.subjects if subject.name == name), None)

    def ratio(self, subject: Subject, connections: int, to: str = FLOOR) -> float | None:
        """The median of the rounds' ratios: what disturbs the machine for a while disturbs both alike."""
        base = self.find(to)
        if base is None:
            return None
        pairs = zip(subject.rounds[connections], base.rounds[connections], strict=False)
        ratios = [mine.rate / theirs.rate for mine, theirs in pairs if theirs.rate]
        return median(ratios) if ratios else None

    def ratio_of_cpu(self, subject: Subject, connections: int) -> float | None:
        """The floor's processor time for a call over the subject's: what the ratio is where nobody disturbs."""
        base = self.find(FLOOR)
        if base is None or not subject.cpu(connections):
            return None
        return base.cpu(connections) / subject.cpu(connections)

    def added(self, subject: Subject, percentile: str) -> float | None:
        """Milliseconds a call takes longer than the direct one, at one connection."""
        direct = self.find(DIRECT)
        if direct is None or 1 not in subject.rounds:
            return None
        pairs = zip(subject.rounds[1], direct.rounds[1], strict=False)
        return float(median(getattr(mine, percentile) - getattr(theirs, percentile) for mine, theirs in pairs))

    @property
    def sound(self) -> bool:
        """Whether the figures mean anything: the books exact, nothing refused, broken or lost."""
        points = [point for subject in self.subjects for many in subject.rounds.values() for point in many]
        return (
            all(subject.exact for subject in self.subjects)
            and not any(point.refused or point.broken for point in points)
            and not any(stream["lost"] for subject in self.subjects for stream in subject.streams)
        )

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.date.replace(':', '').replace(' ', '-')}.json"
        values = asdict(self)
        for subject, own in zip(self.subjects, values["subjects"], strict=True):
            own["rate"] = {connections: subject.rate(connections) for connections in subject.rounds}
            own["cpu_us"] = {connections: subject.cpu(connections) for connections in subject.rounds}
            own["of_floor_by_cpu"] = {
                connections: self.ratio_of_cpu(subject, connections) for connections in subject.rounds
            }
            own["of_floor"] = {connections: self.ratio(subject, connections) for connections in subject.rounds}
            own["added_p50_ms"], own["added_p99_ms"] = self.added(subject, "p50"), self.added(subject, "p99")
        path.write_text(json.dumps(values, indent=1) + "\n")
        return path


def table(result: Result) -> str:
    lines = [
        f"One API bench, {result.date}, commit {result.commit}",
        ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in result.machine.items()),
        f"load by {result.generator}, upstream {result.upstream}; medians of rounds of {result.seconds:g} s",
        *result.notes,
        "",
        *_calls(result),
        "",
        *_streams(result),
        "",
        "Books",
        *(f"  {subject.title:<34} {subject.books}" for subject in result.subjects if subject.billed),
        "",
        *_goals(result),
    ]
    return "\n".join(lines)


def _calls(result: Result) -> list[str]:
    counts = sorted({connections for subject in result.subjects for connections in subject.rounds})
    head = f"  {'calls/s on one core':<34}" + "".join(f"{f'{count} conn.':>11}" for count in counts)
    head += "".join(f"{f'floor @{count}':>11}" for count in counts if count > 1)
    lines = [head + f"{'added p50':>11}{'p99 (ms)':>10}"]
    for subject in result.subjects:
        line = f"  {subject.title:<34}" + "".join(f"{subject.rate(count):>11,.0f}" for count in counts)
        line += "".join(f"{_figure(result.ratio(subject, count)):>11}" for count in counts if count > 1)
        line += f"{_figure(result.added(subject, 'p50')):>11}{_figure(result.added(subject, 'p99')):>10}"
        lines.append(line)
    lines += ["", f"  {'processor time, us a call':<34}" + "".join(f"{f'{count} conn.':>11}" for count in counts)]
    lines[-1] += "".join(f"{f'floor @{count}':>11}" for count in counts if count > 1)
    for subject in result.subjects:
        if any(subject.cpu(count) for count in counts):
            line = f"  {subject.title:<34}" + "".join(f"{subject.cpu(count):>11.0f}" for count in counts)
            line += "".join(f"{_figure(result.ratio_of_cpu(subject, count)):>11}" for count in counts if count > 1)
            lines.append(line)
    return lines


STREAM_COLUMNS = (("at once", 9), ("lost", 6), ("longest gap p50", 17), ("p99", 7), ("max (ms)", 10), ("first", 8))


def _streams(result: Result) -> list[str]:
    head = "".join(f"{name:>{width}}" for name, width in (*STREAM_COLUMNS, ("seconds", 9), ("peak MB", 9)))
    lines = [f"  {'streams of 64 events, 20 ms':<34}{head}"]
    for subject in result.subjects:
        for run in subject.streams:
            gaps = (
                f"{run['gap_p50_ms']:>17.0f}{run['gap_p99_ms']:>7.0f}{run['gap_max_ms']:>10.0f}{run['first_ms']:>8.0f}"
            )
            peak = f"{run['peak'] / 2**20:.0f}" if run.get("peak") else ""
            line = f"  {subject.title:<34}{run['streams']:>9}{run['lost']:>6}{gaps}{run['seconds']:>9.2f}{peak:>9}"
            lines.append(line)
    lines += [
        f"  {subject.title}: resident {subject.idle / 2**20:.0f} MB idle, {subject.peak / 2**20:.0f} MB at the"
        f" peak (master and worker); first answer {subject.cold_start:.1f} s after the start"
        for subject in result.subjects
        if subject.billed
    ]
    return lines


def _goals(result: Result) -> list[str]:
    """SQLite against the goals; the other databases' figures stand in the table."""
    subject, floor = result.find("sqlite"), result.find(FLOOR)
    if subject is None or floor is None:
        return []
    lines = ["Goals (SQLite)"]
    for connections in (c for c in (32, 128) if c in subject.rounds):
        for base, name in ((FLOOR, "floor"), (OWN_FLOOR, "client's floor")):
            ratio = result.ratio(subject, connections, base)
            if ratio is not None:
                what = f"of the {name} at {connections} connections"
                lines.append(_goal(what, f"{ratio:.2f}", f"{GOAL}", ratio >= GOAL))
        if floor.rate(connections) >= GOAL_FLOOR:
            rate = subject.rate(connections)
            lines.append(
                _goal(f"calls/s at {connections} connections", f"{rate:,.0f}", f"{GOAL_RATE:,}", rate >= GOAL_RATE)
            )
    for run in subject.streams:
        gap, peak = run["gap_max_ms"], run.get("peak", 0)
        name = f"{run['streams']} streams"
        lines.append(_goal(f"longest gap, {name}", f"{gap:.0f} ms", f"at most {GOAL_GAP:.0f}", gap <= GOAL_GAP))
        lines.append(_goal(f"memory, {name}", f"{peak / 2**20:.0f} MB", "at most 400", peak <= GOAL_MEMORY))
    return lines


def _goal(what: str, found: str, wanted: str, reached: bool) -> str:
    return f"  {what:<42} {found:>9}   goal {wanted:<12} {'reached' if reached else 'MISSED'}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _plain(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "/".join(_plain(one) for one in value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)
