"""`python -m bench.pages`: how long the console's pages take over full tables, on each database, as one table.

A million log rows, ten thousand users, keys, channels and codes, a hundred thousand audit entries. One worker, one
request at a time, as root with a session cookie; the goal is 150 ms at the 95th percentile. Exit code 1: a page broke.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import databases, machine
from bench.databases import Absent, Database
from bench.gateway import ENVIRONMENT, INHERITED, START, NotStarted

ROOT = Path(__file__).resolve().parent.parent
GOAL = 150  # milliseconds
SEEDING = 1800  # seconds
PAGES = (
    "/dashboard", "/token", "/token?q=key-99&sort=-used", "/models", "/playground", "/topup",
    "/log", "/log?model_name=model-7", "/log?q=request-77", "/log?page=50",
    "/channel", "/channel?q=channel-99&sort=-used", "/channel?page=100", "/channel?by=tag", "/test-runs",
    "/user", "/user?q=user-99&sort=-remaining", "/redemption", "/redemption?q=batch-9", "/analytics", "/audit",
    "/prices", "/prices?show=unpriced", "/groups", "/setting/operation", "/setting/system", "/runtime",
)  # fmt: skip


@dataclass
class Figures:
    """Of one page on one database. `status` of the last answer; milliseconds of all."""

    status: int = 0
    size: int = 0  # bytes as sent, compressed
    location: str = ""  # of a redirect
    cpu: float = 0.0  # milliseconds of the server's processor for one answer
    times: list[float] = field(default_factory=list)

    def shown(self) -> str:
        if self.status != 200:
            return f"{self.status} {self.location}".rjust(31)
        ordered = sorted(self.times)
        high = ordered[min(len(ordered) - 1, round(len(ordered) * 0.95))]
        mark = " " if high < GOAL else "!"
        return f"{statistics.median(ordered):8.0f} {high:8.0f}{mark} {self.cpu:6.0f} {self.size / 1024:5.0f}"


def main() -> int:
    options = _options()
    found: dict[str, dict[str, Figures]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="one-api-bench-")))
        for kind in options.databases.split(","):
            with ExitStack() as one:
                try:
                    database = one.enter_context(databases.fresh(kind, folder))
                except Absent as reason:
                    print(f"{kind} is left out: {reason}", file=sys.stderr)
                    continue
                processes = machine.Processes(folder)
                one.callback(processes.close)
                found[databases.NAMES[kind]] = _measure(database, processes, options)
    _print(found, options)
    return 1 if any(one.status >= 500 for pages in found.values() for one in pages.values()) else 0


def _measure(database: Database, processes: machine.Processes, options: argparse.Namespace) -> dict[str, Figures]:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment = {**inherited, **ENVIRONMENT, **database.environment, "PYTHONPATH": str(ROOT)}
    manage = [sys.executable, str(ROOT / "manage.py")]
    began = time.monotonic()
    once([*manage, "migrate", "--verbosity", "0"], environment)
    seed = [sys.executable, str(ROOT / "bench" / "pages_seed.py"), str(options.logs), str(options.rows)]
    cookie = json.loads(once(seed, environment))["session"]
    print(f"{database.version}: filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
    port = machine.free_port()
    name = f"console-{database.kind}"
    command = [*manage, "serve", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--log-dir", ""]
    server = processes.start(name, command, machine.cores()[0], environment, cwd=ROOT)
    wait(port, processes, name)
    return {page: _ask(port, page, cookie, options.times, server.pid) for page in options.pages or PAGES}


def _ask(port: int, page: str, cookie: str, times: int, server: int) -> Figures:
    """Twice unmeasured, then `times` times."""
    figures = Figures()
    headers = {"Cookie": f"session={cookie}", "Accept-Encoding": "gzip", "Accept": "text/html"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    before = 0.0
    for number in range(times + 2):
        if number == 2:
            before = machine.cpu_seconds(server)
        began = time.perf_counter()
        connection.request("GET", page, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if number >= 2:
            figures.times.append((time.perf_counter() - began) * 1000)
        figures.status, figures.size = answer.status, len(body)
        figures.location = answer.headers.get("Location", "")
        if figures.status != 200:
            break
    connection.close()
    figures.cpu = (machine.cpu_seconds(server) - before) * 1000 / times
    return figures


def wait(port: int, processes: machine.Processes, name: str) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/login")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    raise NotStarted(f"{name} does not answer:\n{processes.output(name)}")


def once(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SEEDING, check=False
    )
    if done.returncode:
        raise NotStarted(f"{' '.join(command[1:3])}: {(done.stdout + done.stderr)[-3000:]}")
    return done.stdout.splitlines()[-1] if done.stdout.strip() else ""


def _print(found: dict[str, dict[str, Figures]], options: argparse.Namespace) -> None:
    print(
        f"{options.logs:,} log rows, {options.rows:,} users, keys, channels and codes; {options.times} requests a page."
    )
    print(f"Milliseconds, median and 95th percentile (! is above {GOAL}), the server's processor; kilobytes as sent.")
    print(f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    width = max(map(len, options.pages or PAGES)) + 2
    print(" " * width + "".join(name.rjust(32) for name in found))
    print(" " * width + "".join("p50      p95     CPU    KB".rjust(32) for _name in found))
    for page in options.pages or PAGES:
        print(page.ljust(width) + "".join(pages[page].shown().rjust(32) for pages in found.values()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.pages")
    parser.add_argument("--databases", default="sqlite,postgres", help="of sqlite and postgres")
    parser.add_argument("--logs", type=int, default=1_000_000, help="log rows")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of each other table")
    parser.add_argument("--times", type=int, default=40, help="requests of each page")
    parser.add_argument("pages", nargs="*", help="addresses; all list pages where none is named")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
