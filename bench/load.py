"""The load generators, each in a process of its own on the load's core; what they print comes back as figures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import scenario
from bench.machine import pinned
from bench.target import Target

HERE = Path(__file__).resolve().parent


class LoadFailed(RuntimeError):
    """The load generator ended with an error; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Point:
    """What came back. `refused`: answers that were not 200. `broken`: connections. Times in milliseconds.

    `cpu`: microseconds of processor time the server spent on a call, 0 where it is not known.
    """

    calls: int
    seconds: float
    refused: int
    broken: int
    p50: float
    p99: float
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        return (self.calls - self.refused) / self.seconds if self.seconds else 0.0


def wrk() -> str | None:
    """BENCH_WRK=0 does without: it knows whole seconds only."""
    return None if os.environ.get("BENCH_WRK") == "0" else shutil.which("wrk")


def generator() -> str:
    return "wrk" if wrk() else "bench.client (without wrk, which `make services` installs)"


def plain(target: Target, connections: int, seconds: float, core: int) -> Point:
    """Calls one after the other on each connection. Raises LoadFailed."""
    program = wrk()
    if program:
        command = [program, "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s", "--timeout", "30s"]
        command += ["-s", str(HERE / "wrk.lua"), f"http://127.0.0.1:{target.port}{scenario.PATH}"]
    else:
        command = _module("client", target.port, connections, seconds)
    told = _run(command, core, target, seconds + 60)
    calls, refused, broken = (int(told[name]) for name in ("calls", "refused", "broken"))
    return Point(calls, told["seconds"], refused, broken, told["p50"], told["p99"])


def streams(target: Target, count: int, core: int) -> dict[str, float]:
    """Opened together, of the quick kind. Raises LoadFailed."""
    return _run(_module("streams", target.port, count), core, target, 120)


def open_loop(target: Target, rate: float, seconds: float, core: int) -> dict[str, float]:
    """`rate` calls a second at fixed times. Raises LoadFailed."""
    return _run(_module("open_loop", target.port, rate, seconds), core, target, seconds + 60)


def crowd(target: Target, count: int, core: int, look: Callable[[], None]) -> dict[str, float]:
    """Slow streams, as many at once as `count`; `look` is called every second meanwhile. Raises LoadFailed."""
    return _run(_module("crowd", target.port, count), core, target, 900, look)


def _module(name: str, *arguments: float) -> list[str]:
    return [sys.executable, "-m", f"bench.{name}", *map(str, arguments)]


def _run(
    command: list[str], core: int, target: Target, patience: float, look: Callable[[], None] | None = None
) -> dict[str, float]:
    environment = {**os.environ, **target.environment, "PYTHONPATH": str(HERE.parent)}
    with subprocess.Popen(
        pinned(command, core), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + patience
        while True:
            try:
                told, errors = process.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired as late:
                if look:
                    look()
                if time.monotonic() > end:
                    process.kill()
                    raise LoadFailed(f"{' '.join(command)} did not end in {patience:.0f} s") from late
            except BaseException:  # an interrupt as well: the child must not load the next measurement
                process.kill()
                raise
    lines = [line for line in told.splitlines() if line.startswith("{")]
    if process.returncode or not lines:
        raise LoadFailed((told + errors)[-2000:])
    figures: dict[str, float] = json.loads(lines[-1])
    return figures
