"""Whether memory grows with the calls: bytes resident after a tenth, a half and all of 200,000."""

from __future__ import annotations

from bench import figures, machine
from bench.result import Goal, Result
from bench.run import Run, say
from bench.wording import MB, NAME

CONNECTIONS = 64
MARKS = (0.1, 0.5, 1.0)
LONGEST = 10.0  # seconds until the calls are counted again
LEAST_OBJECT = 56  # bytes that one object leaves which stays of every call; the allocator's noise is below it


def measure(run: Run) -> None:
    """Of the first gateway with books; in such a run it has been warmed by the other sections."""
    for side in run.billed[:1]:
        done, rate = 0, 0.0
        for mark in (round(share * run.options.growth_calls) for share in MARKS):
            while done < mark:
                seconds = min(LONGEST, max(run.options.seconds, (mark - done) / rate)) if rate else run.options.seconds
                point = run.ask(side, CONNECTIONS, seconds)
                if point.calls == point.refused:
                    return  # nothing is answered any more, which the books tell
                rate, done = point.rate, done + point.calls
            side.subject.growth[done] = machine.resident(side.pid)
            say(f"{side.subject.title}, {done:,} calls: {side.subject.growth[done] / MB:.1f} MB")


def lines(result: Result) -> list[str]:
    told = [f"  {'resident (MB) after calls':<{NAME}}"]
    for subject in result.subjects:
        if subject.growth:
            marks = "".join(f"{f'{size / MB:.1f} @{calls:,}':>18}" for calls, size in sorted(subject.growth.items()))
            told.append(f"  {subject.title:<{NAME}}{marks}")
    return told


def goals(result: Result) -> list[Goal]:
    found = []
    for subject in result.billed:
        grown = figures.growth(subject.growth)
        if grown:
            calls, size = grown
            most = calls * LEAST_OBJECT
            what = f"growth over the last {calls:,} calls"
            found.append(Goal(what, f"{size / MB:.1f} MB", f"below {most / MB:.1f}", size < most))
    return found
