"""Cores and processes: who runs where, and that everything started here ends here, by its id and nothing else."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP = 15  # seconds a process has to leave by itself


def cores() -> tuple[int, int]:
    """(server's core, load's core); the same one twice where there is only one."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[0], mine[1] if len(mine) > 1 else mine[0]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def raise_file_limit() -> int:
    """Allow this process and what it starts as many open files as it may; returns how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


class Processes:
    """Everything started during a run; `close` ends it, latest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(
        self, name: str, command: Sequence[str], core: int, environment: Mapping[str, str], cwd: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """A process that runs on one core, as do its children; its output goes to `<name>.out` in the folder."""
        with (self.folder / f"{name}.out").open("ab") as output:
            process = subprocess.Popen(
                pinned(command, core),
                cwd=cwd or self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C is ours to hand on, in order
            )
        self._running.append((name, process))
        return process

    def output(self, name: str) -> str:
        return (self.folder / f"{name}.out").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        for _, process in reversed(self._running):
            family = [process.pid, *descendants(process.pid)]
            process.terminate()
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                for pid in family:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()
        self._running.clear()


def pinned(command: Sequence[str], core: int) -> list[str]:
    taskset = shutil.which("taskset")
    return [taskset, "-c", str(core), *command] if taskset else list(command)


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return sorted(found)


def resident(pid: int) -> int:
    """Bytes resident now in a process and its children; a page they share counts once (PSS)."""
    return sum(_figure(f"/proc/{one}/smaps_rollup", "Pss") for one in (pid, *descendants(pid)))


def peak(pid: int) -> int:
    """As `resident`, and what each had more at its own peak."""
    status = [f"/proc/{one}/status" for one in (pid, *descendants(pid))]
    return resident(pid) + sum(_figure(path, "VmHWM") - _figure(path, "VmRSS") for path in status)


def _figure(path: str, name: str) -> int:
    """A figure of /proc, there in kB, in bytes."""
    for line in Path(path).read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0


def open_files(pid: int) -> list[int]:
    """How many files and sockets each child of a process has open."""
    found = []
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            found.append(len(os.listdir(f"/proc/{child}/fd")))
    return found


def forget_peak(pid: int) -> None:
    """Start VmHWM anew, so that it speaks of what comes next. Needs the right to write to another process's /proc."""
    for one in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):
            Path(f"/proc/{one}/clear_refs").write_text("5")


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its living children until now."""
    ticks = 0
    for one in (pid, *descendants(pid)):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def fsync_time(folder: Path, times: int = 40) -> float:
    """Seconds that a small durable write takes in this folder, the median: what every commit on SQLite waits for."""
    path = folder / f"one-api-bench-fsync-{os.getpid()}"
    taken = []
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(times):
                began = time.monotonic()
                file.write(b"x" * 4096)
                os.fsync(file.fileno())
                taken.append(time.monotonic() - began)
    finally:
        path.unlink(missing_ok=True)
    return sorted(taken)[times // 2]


def describe() -> dict[str, object]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
    }
