"""The billing tax: how many fewer calls a second with books than without, 256 connections, an upstream of 20 ms."""

from __future__ import annotations

from statistics import median

from bench import scenario
from bench.result import UNBILLED, Goal, Result, Subject
from bench.run import Run, say
from bench.wording import NAME, figure, number

CONNECTIONS = 256
MOST = {"sqlite": 20, "postgres": 40, "mysql": 40}  # percent


def measure(run: Run) -> None:
    for side in run.gateways:
        run.ask(side, CONNECTIONS, min(1.0, run.options.seconds), paced=True)  # connections to this upstream are there
    for turn in range(run.options.rounds):
        for side in run.in_turns(run.gateways, turn):
            point = run.ask(side, CONNECTIONS, run.options.seconds, paced=True)
            side.subject.taxed.append(point)
            say(f"{side.subject.title}, {CONNECTIONS} connections, upstream of 20 ms: {point.rate:,.0f}/s")


def lines(result: Result) -> list[str]:
    most = CONNECTIONS / scenario.DELAY
    columns = f"{'calls/s':>11}{'tax (%)':>11}{'us a call':>11}{'p50':>9}{'p99 (ms)':>10}"
    told = [f"  {f'{CONNECTIONS} conn., upstream of 20 ms':<{NAME}}{columns}"]
    for subject in result.subjects:
        if subject.taxed:
            rate, cpu, p50, p99 = (
                median(getattr(point, name) for point in subject.taxed) for name in ("rate", "cpu", "p50", "p99")
            )
            line = f"  {subject.title:<{NAME}}{number(rate, 11)}{figure(result.tax(subject), 11)}{number(cpu, 11)}"
            told.append(f"{line}{p50:>9.1f}{p99:>10.1f}")
    return [*told, f"  Nobody can make more than {most:,.0f} calls/s here: connections over the upstream's delay."]


def goals(result: Result) -> list[Goal]:
    if result.find(UNBILLED) is None:
        return []
    return [goal for subject in result.billed if (goal := _goal(result, subject))]


def _goal(result: Result, subject: Subject) -> Goal | None:
    tax, most = result.tax(subject), MOST[subject.kind]
    if tax is None:
        return None
    return Goal(f"billing tax: {subject.title}", f"{tax:.1f} %", f"at most {most}", tax <= most)
