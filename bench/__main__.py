"""`python -m bench`: everybody in one run, side by side, in turns. Prints a table, writes bench/results/<date>.json.

Exit code 1: the figures mean nothing, because books were not exact, or answers were refused or lost. A goal that was
missed is said and no error: it depends on the machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from bench import load, machine, peers, report, sides, upstream
from bench.arguments import read
from bench.gateway import NotStarted
from bench.result import Result
from bench.run import Run
from bench.sections import SECTIONS
from bench.sides import ROOT, Place

EVERYBODY = {"plain", "streams", "tax", "open", "growth"}  # sections that ask those who run all the time


def main() -> int:
    options = read()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs us in the background ignores it
    server_core, load_core = machine.cores()
    described = {**machine.describe(), "fsync_ms": machine.fsync_time(Path(tempfile.gettempdir())) * 1000}
    notes: list[str] = []
    installed = peers.install(notes) if options.peers else []
    os.sched_setaffinity(0, {load_core})  # and with us all that is not put elsewhere
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="one-api-bench-")))
        processes = machine.Processes(folder)
        stack.callback(processes.close)
        if server_core == load_core:
            notes.append("Only one core: server, load and upstream share it.")
        plain, what = upstream.start_plain(processes, load_core)
        paced = upstream.start_paced(processes, load_core)
        addresses = f"http://127.0.0.1:{plain}", f"http://127.0.0.1:{paced}"
        run = Run(options, Place(stack, processes, server_core, load_core, addresses, notes), [])
        if EVERYBODY & set(options.only):
            run.sides += sides.bare(run.place, plain, paced, what)
            run.sides.append(sides.unbilled(run.place))
            for kind in options.databases:
                for label, tree in [("", ROOT), *options.also]:
                    run.sides += filter(None, [sides.billed(run.place, kind, label, tree)])
            run.sides += peers.start(run.place, installed)
            run.warm()
        for name in options.only:
            SECTIONS[name].measure(run)
        run.close()
        result = Result(
            date=time.strftime("%Y-%m-%d %H:%M:%S"),
            commit=_commit(),
            machine=described,
            generator=load.generator(),
            upstream=what,
            seconds=options.seconds,
            sections=options.only,
            subjects=[side.subject for side in run.sides],
            many=run.many,
            notes=notes,
        )
        result.goals = report.goals(result)
        print(report.table(result))
        print(f"\nWritten to {os.path.relpath(result.write(options.results))}")
    return 0 if result.sound else 1


def _commit() -> str:
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "unknown"
    return told.stdout.strip() or "unknown"


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; everything started has been ended.")
    except (NotStarted, load.LoadFailed, peers.NotInstalled) as failure:
        sys.exit(str(failure))
