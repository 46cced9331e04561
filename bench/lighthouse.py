"""`python -m bench.lighthouse`: Lighthouse's verdict on pages of the console, as it judges a phone and a desktop.

Wants npm and Chromium. Lighthouse is installed outside the checkout, once, in a folder of the temporary directory. The
pages are root's, over tables with some rows. Exit code 1: a score is below the goal. Performance is measured against a
slowed-down processor: it depends on the machine, and on what else that machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import databases, machine
from bench.gateway import ENVIRONMENT, INHERITED
from bench.pages import ROOT, once, wait

VERSION = "12.8.2"
GOAL = 95  # of 100, in each category
CATEGORIES = ("performance", "accessibility", "best-practices")
GUESTS = ("/", "/login")
PAGES = (*GUESTS, "/dashboard", "/channel")
DEVICES = {"phone": [], "desktop": ["--preset=desktop"]}
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
ROWS = (2_000, 60)  # log rows, and rows of every other table
PATIENCE = 300  # seconds for one page

Scores = dict[str, int]


def main() -> int:
    options = _options()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or shutil.which("npm") is None:
        print("Chromium and npm are needed.", file=sys.stderr)
        return 2
    program = _installed()
    found: dict[tuple[str, str], Scores] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="one-api-lighthouse-")))
        database = stack.enter_context(databases.fresh("sqlite", folder))
        processes = machine.Processes(folder)
        stack.callback(processes.close)
        base, cookie = _served(database, processes)
        for page in options.pages or PAGES:
            for device, flags in DEVICES.items():
                report = folder / f"{device}.json"
                extra = [] if page in GUESTS else [f'--extra-headers={{"Cookie": "session={cookie}"}}']
                _judge(program, chromium, base + page, report, [*flags, *extra])
                found[page, device] = _scores(report, options.why)
    _print(found)
    return 1 if min(score for scores in found.values() for score in scores.values()) < GOAL else 0


def _installed() -> Path:
    """The program's file; installed where it is not yet."""
    folder = Path(tempfile.gettempdir()) / f"one-api-lighthouse-{VERSION}"
    program = folder / "node_modules" / ".bin" / "lighthouse"
    if not program.exists():
        print(f"Installing lighthouse {VERSION} in {folder}", file=sys.stderr)
        folder.mkdir(exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)]
        subprocess.run([*command, f"lighthouse@{VERSION}"], check=True)
    return program


def _served(database: databases.Database, processes: machine.Processes) -> tuple[str, str]:
    """A gateway's address, and the session cookie of its root."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment = {**inherited, **ENVIRONMENT, **database.environment, "PYTHONPATH": str(ROOT)}
    manage = [sys.executable, str(ROOT / "manage.py")]
    once([*manage, "migrate", "--verbosity", "0"], environment)
    cookie = json.loads(once([sys.executable, str(ROOT / "bench" / "pages_seed.py"), *map(str, ROWS)], environment))[
        "session"
    ]
    port = machine.free_port()
    command = [*manage, "serve", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--log-dir", ""]
    processes.start("console", command, machine.cores()[0], environment, cwd=ROOT)
    wait(port, processes, "console")
    return f"http://127.0.0.1:{port}", cookie


def _judge(program: Path, chromium: str, address: str, report: Path, flags: list[str]) -> None:
    command = [str(program), address, "--quiet", "--output=json", f"--output-path={report}"]
    command += [f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={FLAGS}", *flags]
    environment = {**os.environ, "CHROME_PATH": chromium}
    subprocess.run(command, check=True, timeout=PATIENCE, env=environment, stderr=subprocess.DEVNULL)


def _scores(report: Path, why: bool) -> Scores:
    """Each category's score of 100; with `why` also prints what cost points."""
    told = json.loads(report.read_text())
    if why:
        for category in CATEGORIES:
            for part in told["categories"][category]["auditRefs"]:
                audit = told["audits"][part["id"]]
                if part["weight"] and audit["score"] is not None and audit["score"] < 0.95:
                    shown = audit.get("displayValue", "")
                    print(f"  {told['finalDisplayedUrl']} {category}: {audit['id']} {audit['score']} {shown}")
    return {name: round(told["categories"][name]["score"] * 100) for name in CATEGORIES}


def _print(found: dict[tuple[str, str], Scores]) -> None:
    print(f"Lighthouse {VERSION}, scores of 100 (! is below {GOAL}).")
    print(f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    print("page".ljust(16) + "as a".ljust(9) + "".join(name.rjust(16) for name in CATEGORIES))
    for (page, device), scores in found.items():
        cells = (f"{score}{' ' if score >= GOAL else '!'}".rjust(16) for score in scores.values())
        print(page.ljust(16) + device.ljust(9) + "".join(cells))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.lighthouse")
    parser.add_argument("--why", action="store_true", help="say what cost points")
    parser.add_argument("pages", nargs="*", help=f"addresses; {', '.join(PAGES)} where none is named")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
