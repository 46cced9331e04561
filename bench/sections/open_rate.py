"""Calls at fixed times, at a half and four fifths of what the closed loop reached; waits count from when due."""

from __future__ import annotations

from bench import load
from bench.result import Goal, Result
from bench.run import Run, say
from bench.sides import Side
from bench.wording import NAME

SHARES = (0.5, 0.8)
CONNECTIONS = 128  # of the closed loop whose rate is the capacity
SECONDS = 5.0
COLUMNS = (
    ("of capacity", 12),
    ("calls/s", 9),
    ("p50", 9),
    ("p99", 9),
    ("p99.9", 9),
    ("max (ms)", 10),
    ("ours p99", 10),
)


def measure(run: Run) -> None:
    for side in run.gateways:
        capacity = _capacity(run, side)
        for share in SHARES:
            _hold(run, side, max(1.0, capacity * share), share)


def _capacity(run: Run, side: Side) -> float:
    """Calls a second: the closed loop's median, measured now where it was not before."""
    return side.subject.rate(CONNECTIONS) or run.ask(side, CONNECTIONS, run.options.seconds).rate


def _hold(run: Run, side: Side, rate: float, share: float) -> None:
    run.pin(side)
    told = load.open_loop(side.plain, rate, SECONDS * min(1.0, run.options.seconds), run.place.load_core)
    side.subject.open.append({"share": share, **told})
    side.answered += int(told["calls"] - told["refused"])
    side.cut_off += int(told["unanswered"])
    say(f"{side.subject.title}, {rate:,.0f} calls/s at fixed times: p99 {told['p99']:.1f} ms")


def lines(result: Result) -> list[str]:
    told = [f"  {'calls at fixed times':<{NAME}}" + "".join(f"{name:>{width}}" for name, width in COLUMNS)]
    for subject in result.subjects:
        for run in subject.open:
            times = "".join(f"{run[name]:>9.2f}" for name in ("p50", "p99", "p999"))
            head = f"  {subject.title:<{NAME}}{run['share']:>12.0%}{run['wanted']:>9,.0f}"
            told.append(f"{head}{times}{run['max']:>10.1f}{run['late_p99']:>10.2f}")
    return [*told, "  Times from the moment a call was due; `ours` is how late the load generator itself was."]


def goals(result: Result) -> list[Goal]:
    """There is none: it is read beside the closed loop."""
    return []
