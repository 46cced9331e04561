"""Streams of 64 events, one every 20 ms, all opened at once: the longest wait between two parts of a stream."""

from __future__ import annotations

from bench import load, machine
from bench.result import SQLITE, Goal, Result, Subject
from bench.run import Run, say
from bench.sides import Side
from bench.wording import MB, NAME

MOST_GAP = 200.0  # milliseconds
MOST_MEMORY = 400 * MB
COLUMNS = (
    ("at once", 9), ("lost", 6), ("longest gap p50", 17), ("p99", 7), ("max (ms)", 10), ("first", 8),
    ("seconds", 9), ("peak MB", 9),
)  # fmt: skip


def measure(run: Run) -> None:
    least = min(run.options.streams, default=0)
    for count in run.options.streams:
        for side in run.sides:
            if not side.subject.peer or count == least:
                _open(run, side, count)


def _open(run: Run, side: Side, count: int) -> None:
    subject = side.subject
    run.pin(side)
    if side.gateway:
        subject.peak = max(subject.peak, machine.peak(side.pid))
        machine.forget_peak(side.pid)
    told = load.streams(side.paced, count, run.place.load_core)
    if side.gateway:
        told["peak"] = machine.peak(side.pid)
        subject.peak = max(subject.peak, told["peak"])
    side.streamed += count
    subject.streams.append(told)
    say(f"{subject.title}, {count} streams: longest gap {told['gap_max_ms']:.0f} ms")


def lines(result: Result) -> list[str]:
    told = [f"  {'streams of 64 events, 20 ms':<{NAME}}" + "".join(f"{name:>{width}}" for name, width in COLUMNS)]
    counts = sorted({run["streams"] for subject in result.subjects for run in subject.streams})
    for count in counts:
        for subject in result.subjects:
            told += [_line(subject, run) for run in subject.streams if run["streams"] == count]
    return told


def _line(subject: Subject, run: dict[str, float]) -> str:
    peak = f"{run['peak'] / MB:.0f}" if "peak" in run else ""
    gaps = f"{run['gap_p50_ms']:>17.0f}{run['gap_p99_ms']:>7.0f}{run['gap_max_ms']:>10.0f}{run['first_ms']:>8.0f}"
    return f"  {subject.title:<{NAME}}{run['streams']:>9}{run['lost']:>6}{gaps}{run['seconds']:>9.2f}{peak:>9}"


def goals(result: Result) -> list[Goal]:
    subject = result.find(SQLITE)
    found = []
    for run in subject.streams if subject else ():
        gap, peak, count = run["gap_max_ms"], run["peak"], run["streams"]
        what = f"longest gap, {count} streams"
        found.append(Goal(what, f"{gap:.0f} ms", f"at most {MOST_GAP:.0f}", gap <= MOST_GAP))
        wanted = f"at most {MOST_MEMORY / MB:.0f}"
        found.append(Goal(f"memory, {count} streams", f"{peak / MB:.0f} MB", wanted, peak <= MOST_MEMORY))
    return found
