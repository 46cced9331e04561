"""The table of docs/providers.md: read, compared with what came out cell by cell, and written anew on demand.

`WRITE_PROVIDERS_TABLE=1 pytest tests/relay/matrix` writes what came out; without it a difference fails the cell.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.server import ROOT

PAGE: Path = ROOT / "docs" / "providers.md"
BEGIN, END = "<!-- matrix: written by tests/relay/matrix -->", "<!-- end of matrix -->"
FEATURES = ("plain", "stream", "tool", "tool stream", "image", "JSON schema", "thinking")
Cell = tuple[str, str, str]  # dialect, upstream, feature

WRITES = os.environ.get("WRITE_PROVIDERS_TABLE") == "1"


def parted() -> tuple[str, str, str]:
    """The page before, between and after the marks."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    between, end, after = rest.partition(END)
    return before + begin, between, end + after


def section() -> str:
    return parted()[1]


def documented() -> dict[Cell, str]:
    """Outcomes by cell."""
    cells: dict[Cell, str] = {}
    dialect = ""
    for line in section().splitlines():
        if line.startswith("### "):
            dialect = line.removeprefix("### ")
        elif row := re.fullmatch(r"\| (.*) \|", line):
            upstream, *outcomes = (entry.strip() for entry in row[1].split("|"))
            if upstream and not set(upstream) <= set("-"):
                cells |= {(dialect, upstream, feature): each for feature, each in zip(FEATURES, outcomes, strict=True)}
    return cells


def written(cells: dict[Cell, str], dialects: list[str], upstreams: list[str]) -> str:
    lines = []
    for dialect in dialects:
        lines += ["", f"### {dialect}", "", f"| | {' | '.join(FEATURES)} |", "|---" * (len(FEATURES) + 1) + "|"]
        for upstream in upstreams:
            outcomes = [cells.get((dialect, upstream, feature), "?") for feature in FEATURES]
            lines.append(f"| {upstream} | {' | '.join(outcomes)} |")
    return "\n".join([*lines, "", ""])


def write(cells: dict[Cell, str], dialects: list[str], upstreams: list[str]) -> None:
    """Cells that did not run keep what stands there."""
    before, _, after = parted()
    PAGE.write_text(before + written({**documented(), **cells}, dialects, upstreams) + after)
