"""Calls a second in a closed loop, beside the floor and beside peers, and what one connection waits longer."""

from __future__ import annotations

from bench.result import FLOOR, OWN_FLOOR, SQLITE, Goal, Result, Subject
from bench.run import Run, say
from bench.wording import NAME, figure, number

OF_FLOOR = 0.5  # at 32 and at 128 connections
OF_PEER = {"litellm": 60, "portkey": 8}  # times
ADDED = {"p50": 0.6, "p99": 3.0}  # milliseconds at one connection


def measure(run: Run) -> None:
    for connections in run.options.connections:
        for turn in range(run.options.rounds):
            for side in run.in_turns(run.sides, turn):
                point = run.ask(side, connections, run.options.seconds)
                side.subject.rounds.setdefault(connections, []).append(point)
                say(f"{side.subject.title}, {connections} connections: {point.rate:,.0f}/s")


def counts(result: Result) -> list[int]:
    return sorted({connections for subject in result.subjects for connections in subject.rounds})


def lines(result: Result) -> list[str]:
    all_counts = counts(result)
    crowds = [count for count in all_counts if count > 1]
    head = "".join(f"{f'{count} conn.':>11}" for count in all_counts) + "".join(f"{f'floor @{c}':>11}" for c in crowds)
    told = [f"  {'calls/s on one core':<{NAME}}{head}{'added p50':>11}{'p99 (ms)':>10}"]
    for subject in result.subjects:
        line = f"  {subject.title:<{NAME}}" + "".join(number(subject.rate(count), 11) for count in all_counts)
        line += "".join(figure(result.ratio(subject, count), 11) for count in crowds)
        told.append(line + figure(result.added(subject, "p50"), 11) + figure(result.added(subject, "p99"), 10))
    told += ["", f"  {'processor time, us a call':<{NAME}}{head}"]
    for subject in result.subjects:
        if any(subject.cpu(count) for count in all_counts):
            line = f"  {subject.title:<{NAME}}" + "".join(number(subject.cpu(count), 11) for count in all_counts)
            told.append(line + "".join(figure(result.ratio_of_cpu(subject, count), 11) for count in crowds))
    refused = [
        (subject, sum(p.refused + p.broken for many in subject.rounds.values() for p in many))
        for subject in result.subjects
    ]
    return told + [f"  {subject.title}: {bad:,} calls refused or broken" for subject, bad in refused if bad]


def goals(result: Result) -> list[Goal]:
    subject = result.find(SQLITE)
    if subject is None:
        return []
    found = []
    for connections in (count for count in counts(result) if count > 1):
        for base, name in ((FLOOR, "floor"), (OWN_FLOOR, "client's floor")):
            ratio = result.ratio(subject, connections, base)
            if ratio is not None:
                what = f"of the {name} at {connections} connections"
                found.append(Goal(what, f"{ratio:.3f}", f"{OF_FLOOR}", ratio >= OF_FLOOR))
        found += _times_peers(result, subject, connections)
    for percentile, most in ADDED.items():
        added = result.added(subject, percentile)
        if added is not None:
            found.append(
                Goal(f"added {percentile} at one connection", f"{added:.2f} ms", f"at most {most}", added <= most)
            )
    return found


def _times_peers(result: Result, subject: Subject, connections: int) -> list[Goal]:
    found = []
    for peer, least in OF_PEER.items():
        times = result.ratio(subject, connections, peer)
        other = result.find(peer)
        if times is not None and other is not None:
            what = f"times {other.title} at {connections} connections"
            found.append(Goal(what, f"{times:.1f}", f"{least}", times >= least))
    return found
