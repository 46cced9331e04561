"""The table of the suite: a row for each fault and database, printed at the end and written as JSON (CHAOS_REPORT)."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Row:
    fault: str
    database: str
    rounds: int = 0
    calls: int = 0
    answered: int = 0
    lost: int = 0  # answered calls that are not in the books, or with another price
    overspent: int = 0  # users below zero, and calls that could not be collected in full
    stuck: int = 0  # holds that outlived their time
    resumed: float = 0.0  # seconds until a call passed again after the fault, at worst
    sockets: int = 0  # more than before the fault, when it was quiet again
    threads: int = 0
    memory: int = 0  # MiB more than before
    statuses: dict[str, int] = field(default_factory=dict)
    passed: bool = False
    error: str = ""  # what was wrong with it


ROWS: list[Row] = []


def record(row: Row) -> None:
    """Into the table, and on the disk at once: a suite that is ended half-way has measured something."""
    ROWS.append(row)
    write()


COLUMNS = ("fault", "database", "rounds", "calls", "answered", "lost", "overspent", "stuck", "resumed", "memory")


def table() -> list[str]:
    """The rows as lines of a Markdown table, in the order in which they were measured."""
    titles = [*COLUMNS[:-2], "resumed after s", "memory MiB", "passed"]
    lines = ["| " + " | ".join(titles) + " |", "| " + " | ".join("---" for _ in titles) + " |"]
    for row in ROWS:
        values = [f"{getattr(row, name)}" for name in COLUMNS] + ["yes" if row.passed else "NO"]
        lines.append("| " + " | ".join(values) + " |")
    return lines


def write() -> Path | None:
    """The file that CHAOS_REPORT names, if it does; the machine's load is part of it."""
    if not ROWS or not (place := os.environ.get("CHAOS_REPORT")):
        return None
    told = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "mode": os.environ.get("CHAOS", "full"),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "rows": [asdict(row) for row in ROWS],
    }
    path = Path(place).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1))
    return path
