"""What Linux tells of our processes. Read when the page is asked for: a worker has nothing to do for it."""

from __future__ import annotations

import os
from pathlib import Path

from telemetry.text import Metric

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def metrics(pids: list[int]) -> list[Metric]:
    workers = Metric("one_api_workers", "gauge", "Worker processes of this node.")
    memory = Metric("one_api_process_resident_memory_bytes", "gauge", "Resident memory of a worker.")
    files = Metric("one_api_process_open_fds", "gauge", "Open file descriptors of a worker.")
    most = Metric("one_api_process_max_fds", "gauge", "File descriptors that a worker may have open.")
    processor = Metric("one_api_process_cpu_seconds_total", "counter", "Processor time of a worker.")
    for place, pid in enumerate(sorted(pids)):
        try:
            seen = _look(Path("/proc") / str(pid))
        except (OSError, ValueError, IndexError):  # gone this moment, or not Linux
            continue
        for metric, value in zip((memory, files, most, processor), seen, strict=True):
            metric.add(value, worker=str(place), pid=str(pid))
    workers.add(len(pids))
    return [workers, memory, files, most, processor]


def _look(proc: Path) -> tuple[float, float, float, float]:
    """Bytes resident, descriptors open and allowed, seconds of processor."""
    resident = int((proc / "statm").read_text().split()[1]) * PAGE
    limits = (proc / "limits").read_text().splitlines()
    allowed = next(line.split()[3] for line in limits if line.startswith("Max open files"))
    after_name = (proc / "stat").read_text().rpartition(")")[2].split()
    used = (int(after_name[11]) + int(after_name[12])) / TICKS
    return resident, len(os.listdir(proc / "fd")), float(allowed.replace("unlimited", "inf")), used
