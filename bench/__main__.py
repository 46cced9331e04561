"""`python -m bench`: everybody in one run, side by side, in turns. Prints a table, writes bench/results/<date>.json.

Exit code 1: the figures mean nothing, because books were not exact, or answers were refused or lost. A goal that was
missed is said and no error: it depends on the machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from bench import books, databases, load, machine, report, upstream
from bench.gateway import Gateway, NotStarted
from bench.report import DIRECT, FLOOR, OWN_FLOOR, Result, Subject

ROOT = Path(__file__).resolve().parent.parent


FLOORS = (
    (FLOOR, "pyreqwest", "floor: bare, pyreqwest"),
    (OWN_FLOOR, "own", "floor: bare, the gateway's client"),
)


@dataclass
class Side:
    """A subject with what it takes to ask it, and what it was asked."""

    subject: Subject
    port: int
    stream_port: int = 0
    key: str = "none"
    stream_key: str = "none"
    gateway: Gateway | None = None
    pid: int = 0  # of the server, where its processor time is of interest
    answered: int = 1  # the call that showed that it runs
    cut_off: int = 0
    streamed: Counter[str] = field(default_factory=Counter)


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs us in the background ignores it
    server_core, load_core = machine.cores()
    described = {**machine.describe(), "fsync_ms": machine.fsync_time(Path(tempfile.gettempdir())) * 1000}
    os.sched_setaffinity(0, {load_core})  # and with us all that is not put elsewhere
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="one-api-bench-")))
        processes = machine.Processes(folder)
        stack.callback(processes.close)
        notes = [] if server_core != load_core else ["Only one core: server, load and upstream share it."]
        port, plain = upstream.start_plain(processes, load_core)
        paced = upstream.start_paced(processes, load_core)
        addresses = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{paced}"
        sides = [Side(Subject(DIRECT, f"{plain.split()[0]}, direct"), port, paced)]
        for name, client, title in FLOORS:
            floor, pid = upstream.start_floor(processes, server_core, client, addresses)
            sides.append(Side(Subject(name, title), floor, floor, pid=pid))
        for kind in options.databases:
            for label, tree in [("", ROOT), *options.also]:
                side = _billed(stack, processes, folder, kind, label, tree, server_core, addresses, notes)
                if side:
                    sides.append(side)
        _measure(sides, options, load_core)
        _close_books(sides, notes)
        result = Result(
            date=time.strftime("%Y-%m-%d %H:%M:%S"),
            commit=_commit(),
            machine=described,
            generator=load.generator(),
            upstream=plain,
            seconds=options.seconds,
            subjects=[side.subject for side in sides],
            notes=notes,
        )
        print(report.table(result))
        print(f"\nWritten to {os.path.relpath(result.write(options.results))}")
    return 0 if result.sound else 1


def _billed(
    stack: ExitStack,
    processes: machine.Processes,
    folder: Path,
    kind: str,
    label: str,
    tree: Path,
    core: int,
    addresses: tuple[str, str],
    notes: list[str],
) -> Side | None:
    """A gateway on a fresh database of this kind, or None where its server does not answer."""
    try:
        database = stack.enter_context(databases.fresh(kind, folder))
    except databases.Absent as absent:
        notes.append(f"{databases.NAMES[kind]} is left out: {absent}")
        return None
    name = f"{kind}-{label}" if label else kind
    gateway = Gateway(name, tree, database, core, processes)
    stack.callback(processes.close)  # before the database is dropped
    gateway.start(*addresses)
    title = f"gateway, {databases.NAMES[kind]}" + (f", {label}" if label else "")
    subject = Subject(name, title, billed=True, database=database.version)
    subject.idle, subject.cold_start = gateway.idle, gateway.cold_start
    return Side(subject, gateway.port, gateway.port, gateway.key, gateway.stream_key, gateway, gateway.pid)


def _measure(sides: list[Side], options: argparse.Namespace, core: int) -> None:
    for side in sides:  # connections, caches and code paths are there when it counts
        _ask(side, 32, 1, core)
    for connections in options.connections:
        for number in range(options.rounds):
            order = sides if number % 2 == 0 else [*reversed(sides)]
            for side in order:
                point = _ask(side, connections, options.seconds, core)
                side.subject.rounds.setdefault(connections, []).append(point)
                _say(f"{side.subject.title}, {connections} connections: {point.rate:,.0f}/s")
    for count in options.streams:
        for side in sides:
            if side.gateway:
                side.subject.peak = max(side.subject.peak, machine.resident(side.gateway.pid))
                machine.forget_peak(side.gateway.pid)
            run = load.streams(side.stream_port, count, core, side.stream_key)
            if side.gateway:
                run["peak"] = machine.resident(side.gateway.pid)
                side.subject.peak = max(side.subject.peak, run["peak"])
            side.streamed["all"] += count
            side.subject.streams.append(run)
            _say(f"{side.subject.title}, {count} streams: longest gap {run['gap_max_ms']:.0f} ms")


def _ask(side: Side, connections: int, seconds: float, core: int) -> load.Point:
    if side.gateway:
        side.subject.pinned = side.gateway.database.pin(core)
    spent = machine.cpu_seconds(side.pid) if side.pid else 0.0
    point = load.plain(side.port, connections, seconds, core, side.key)
    if side.pid and point.calls:
        point = replace(point, cpu=(machine.cpu_seconds(side.pid) - spent) / point.calls * 1e6)
    side.answered += point.calls - point.refused
    side.cut_off += connections
    return point


def _close_books(sides: list[Side], notes: list[str]) -> None:
    for side in sides:
        if side.gateway:
            verdict = books.check(side.gateway.database, side.answered, side.cut_off, side.streamed["all"])
            side.subject.books, side.subject.exact = str(verdict), not verdict.problems
            if not side.subject.pinned:
                notes.append(f"{side.subject.title}: its server could not be kept to the load's core")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=_numbers, default=[1, 32, 128], help="default 1,32,128")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="of each measurement, default 2; wrk knows whole ones"
    )
    parser.add_argument("--rounds", type=int, default=3, help="default 3; figures are their medians")
    parser.add_argument("--streams", type=_numbers, default=[100, 300], help="default 100,300")
    parser.add_argument("--databases", type=_kinds, default=list(databases.KINDS), help="default sqlite,postgres,mysql")
    parser.add_argument(
        "--also", type=_checkout, action="append", default=[], metavar="LABEL=FOLDER",
        help="measure another checkout of the gateway in the same run; may be repeated",
    )  # fmt: skip
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", help="folder of the JSON file")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",") if part]
    if any(not 0 < number <= 4096 for number in numbers):
        raise argparse.ArgumentTypeError("numbers from 1 to 4096, with commas between them")
    return numbers


def _kinds(text: str) -> list[str]:
    kinds = text.split(",")
    if unknown := set(kinds) - set(databases.KINDS):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: only {', '.join(databases.KINDS)}")
    return kinds


def _checkout(text: str) -> tuple[str, Path]:
    label, _, folder = text.partition("=")
    path = Path(folder).resolve()
    if not label or not (path / "manage.py").exists():
        raise argparse.ArgumentTypeError("LABEL=FOLDER, with a checkout in the folder")
    return label, path


def _commit() -> str:
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "unknown"
    return told.stdout.strip() or "unknown"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; everything started has been ended.")
    except (NotStarted, load.LoadFailed) as failure:
        sys.exit(str(failure))
