"""The suite on all three databases, one after the other, with one exit code: `python -m tests.run [pytest arguments]`.

The first run, on SQLite, is the whole suite: tests under load take each database in turn by themselves. The runs on
PostgreSQL and MariaDB leave those out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from tests import databases

AGAIN = "not load and not chaos and not slow and not browser"  # what is worth running once more on another database
OUTCOMES = {"failed": "failures", "errors": "errors", "skipped": "skipped"}  # and pytest's words for them
NOTHING_TO_RUN = 5  # pytest's exit code when a selection is empty


def run(kind: str, arguments: list[str], report: Path) -> int:
    """One run of pytest on one database; returns its exit code."""
    print(f"== Django on {kind}: {databases.version(kind) or 'NOT REACHABLE'}", flush=True)
    command = [sys.executable, "-m", "pytest", f"--junit-xml={report}", *arguments]
    if kind != "sqlite":
        command += ["-m", AGAIN]
    return subprocess.run(command, env={**os.environ, "TEST_DATABASE": kind}, check=False).returncode


def counts(report: Path) -> Counter[str]:
    """Tests by outcome, from pytest's own report; nothing where it could not even begin."""
    found: Counter[str] = Counter()
    if report.exists():
        for suite in ET.parse(report).iter("testsuite"):
            bad = {name: int(suite.get(plural, 0)) for name, plural in OUTCOMES.items()}
            found.update(bad)
            found["passed"] += int(suite.get("tests", 0)) - sum(bad.values())
    return found


def main() -> int:
    total: Counter[str] = Counter()
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in databases.NAMES:
            if databases.version(kind) is None and not databases.required():
                print(f"== {kind} does not answer: left out (REQUIRE_SERVICES=1 makes this a failure)")
                continue
            report = Path(folder, f"{kind}.xml")
            code = run(kind, sys.argv[1:], report)
            worst = worst or (0 if code == NOTHING_TO_RUN and kind != "sqlite" else code)
            total += counts(report)
    print(", ".join(f"{total[name]} {name}" for name in ("passed", *OUTCOMES) if total[name] or name == "passed"))
    return worst


if __name__ == "__main__":
    sys.exit(main())
