"""What a run found: subjects with their figures, goals, and the JSON file for comparisons."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench import figures
from bench.load import Point

DIRECT, FLOOR, OWN_FLOOR, UNBILLED = "direct", "floor", "own-floor", "unbilled"
SQLITE = "sqlite"  # the subject most goals speak of


@dataclass
class Subject:
    """Somebody who is measured. `rounds[connections]` has one point a round, the same round for everybody."""

    name: str
    title: str
    billed: bool = False
    kind: str = ""  # of its database, of a billed one
    peer: bool = False
    leaves_out: str = ""  # what a peer does not do
    rounds: dict[int, list[Point]] = field(default_factory=dict)
    streams: list[dict[str, float]] = field(default_factory=list)
    taxed: list[Point] = field(default_factory=list)  # rounds over the upstream that takes a moment
    open: list[dict[str, float]] = field(default_factory=list)
    growth: dict[int, int] = field(default_factory=dict)  # bytes resident after so many calls
    books: str = ""
    exact: bool = True
    idle: int = 0  # bytes resident before the first call, at the most, and some seconds after the last
    peak: float = 0
    after: int = 0
    cold_start: float = 0.0
    pinned: bool = True
    database: str = ""

    def rates(self, connections: int) -> list[float]:
        return [point.rate for point in self.rounds.get(connections, ())]

    def rate(self, connections: int) -> float:
        rates = self.rates(connections)
        return median(rates) if rates else 0.0

    def cpu(self, connections: int) -> float:
        points = self.rounds.get(connections, ())
        return median(point.cpu for point in points) if points else 0.0


@dataclass(frozen=True, slots=True)
class Goal:
    what: str
    found: str
    wanted: str
    reached: bool


@dataclass
class Result:
    date: str
    commit: str
    machine: Mapping[str, object]
    generator: str
    upstream: str
    seconds: float
    sections: list[str]
    subjects: list[Subject]
    many: dict[str, Any] = field(default_factory=dict)  # of the section of that name
    notes: list[str] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def find(self, name: str) -> Subject | None:
        return next((subject for subject in self.subjects if subject.name == name), None)

    @property
    def billed(self) -> list[Subject]:
        return [subject for subject in self.subjects if subject.billed]

    def ratio(self, subject: Subject, connections: int, to: str = FLOOR) -> float | None:
        base = self.find(to)
        return figures.ratio(subject.rates(connections), base.rates(connections)) if base else None

    def ratio_of_cpu(self, subject: Subject, connections: int) -> float | None:
        """The floor's processor time for a call over the subject's: what the ratio is where nobody disturbs."""
        base = self.find(FLOOR)
        if base is None or not subject.cpu(connections):
            return None
        return base.cpu(connections) / subject.cpu(connections)

    def added(self, subject: Subject, percentile: str) -> float | None:
        """Milliseconds a call takes longer than the direct one, at one connection."""
        direct = self.find(DIRECT)
        if direct is None or not subject.rounds.get(1):
            return None
        pairs = zip(subject.rounds[1], direct.rounds[1], strict=False)
        return float(median(getattr(mine, percentile) - getattr(theirs, percentile) for mine, theirs in pairs))

    def tax(self, subject: Subject) -> float | None:
        """Percent of the calls a second that the books cost; None for whoever keeps none."""
        base = self.find(UNBILLED)
        if base is None or not subject.billed:
            return None
        return figures.tax([point.rate for point in base.taxed], [point.rate for point in subject.taxed])

    @property
    def sound(self) -> bool:
        """Whether the figures mean anything: books exact, nothing of ours refused, broken or lost."""
        return not self.problems()

    def problems(self) -> list[str]:
        ours = [subject for subject in self.subjects if not subject.peer]
        return [
            *(f"{one.title}: {one.books}" for one in ours if not one.exact),
            *(f"{one.title}: refused or broken" for one in ours if any(_bad(point) for point in _points(one))),
            *(f"{one.title}: streams lost events" for one in ours if any(run["lost"] for run in one.streams)),
            *(
                f"{one.title}: calls at fixed times not answered"
                for one in ours
                if any(_unmet(run) for run in one.open)
            ),
            *self.many.get("problems", ()),
        ]

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.date.replace(':', '').replace(' ', '-')}.json"
        path.write_text(json.dumps(self.values(), indent=1) + "\n")
        return path

    def values(self) -> dict[str, Any]:
        """All of it, with what the table works out."""
        values = asdict(self)
        for subject, own in zip(self.subjects, values["subjects"], strict=True):
            counts = subject.rounds
            own["rate"] = {count: subject.rate(count) for count in counts}
            own["cpu_us"] = {count: subject.cpu(count) for count in counts}
            own["of_floor_by_cpu"] = {count: self.ratio_of_cpu(subject, count) for count in counts}
            own["of_floor"] = {count: self.ratio(subject, count) for count in counts}
            own["added_p50_ms"], own["added_p99_ms"] = self.added(subject, "p50"), self.added(subject, "p99")
            own["billing_tax_percent"] = self.tax(subject)
        values["problems"] = self.problems()
        return values


def _points(subject: Subject) -> Iterable[Point]:
    yield from (point for many in subject.rounds.values() for point in many)
    yield from subject.taxed


def _bad(point: Point) -> bool:
    return bool(point.refused or point.broken)


def _unmet(run: Mapping[str, float]) -> bool:
    return bool(run["refused"] or run["broken"] or run["unanswered"])
