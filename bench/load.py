"""One point of a measurement: so many connections for so many seconds against one port."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import scenario
from bench.machine import pinned

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


def generator() -> str:
    return "wrk" if shutil.which("wrk") else "bench.client (wrk is not installed: `make services` does it)"


def plain(port: int, connections: int, seconds: float, core: int, key: str = "none") -> Point:
    """Calls one after the other on each connection. Raises LoadFailed."""
    wrk = shutil.which("wrk")
    if wrk:
        command = [wrk, "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s", "--timeout", "30s"]
        command += ["-s", str(HERE / "wrk.lua"), f"http://127.0.0.1:{port}{scenario.PATH}"]
    else:
        command = [sys.executable, "-m", "bench.client", str(port), str(connections), str(seconds)]
    told = _run(command, core, key, seconds + 60)
    calls, refused, broken = (int(told[name]) for name in ("calls", "refused", "broken"))
    return Point(calls, told["seconds"], refused, broken, told["p50"], told["p99"])


def streams(port: int, count: int, core: int, key: str = "none") -> dict[str, float]:
    """Raises LoadFailed."""
    return _run([sys.executable, "-m", "bench.streams", str(port), str(count)], core, key, 120)


def _run(command: list[str], core: int, key: str, patience: float) -> dict[str, float]:
    environment = {
        **os.environ,
        "BENCH_KEY": key,
        "BENCH_BODY": scenario.REQUEST.decode(),
        "PYTHONPATH": str(HERE.parent),
    }
    done = subprocess.run(
        pinned(command, core), env=environment, capture_output=True, text=True, timeout=patience, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise LoadFailed((done.stdout + done.stderr)[-2000:])
    figures: dict[str, float] = json.loads(lines[-1])
    return figures
