"""A gateway of some checkout on a database of its own, as an operator would run it: `manage.py serve`, one worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import machine, scenario
from bench.databases import Database

HERE = Path(__file__).resolve().parent
START = 90  # seconds, the migrations of a new database included
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
ENVIRONMENT = {
    "SESSION_SECRET": "a secret of the bench that guards nothing",
    "GLOBAL_API_RATE_LIMIT": "0",
    "GLOBAL_WEB_RATE_LIMIT": "0",
    "PYTHONUNBUFFERED": "1",
}


class NotStarted(RuntimeError):
    """A process did not answer in time; the message is the end of its output."""


@dataclass
class Gateway:
    name: str
    tree: Path  # the checkout it runs from
    database: Database
    core: int
    processes: machine.Processes
    port: int = 0
    key: str = ""
    stream_key: str = ""
    cold_start: float = 0.0  # seconds until the first answer, on a database already migrated
    idle: int = 0  # bytes resident before the first call
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {**inherited, **ENVIRONMENT, **self.database.environment, "PYTHONPATH": str(self.tree)}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, upstream: str, stream_upstream: str) -> None:
        """Migrate, seed, serve; returns when a call has been answered. Raises NotStarted."""
        manage = str(self.tree / "manage.py")
        self._once([sys.executable, manage, "migrate", "--verbosity", "0"])
        seeded = json.loads(self._once([sys.executable, str(HERE / "seed.py"), upstream, stream_upstream]))
        self.key, self.stream_key = seeded["key"], seeded["stream_key"]
        self.port = machine.free_port()
        command = [sys.executable, manage, "serve", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        began = time.monotonic()
        self._process = self.processes.start(
            self.name, [*command, "--log-dir", ""], self.core, self.environment, cwd=self.tree
        )
        wait_for(f"http://127.0.0.1:{self.port}", self.key, self._process, self.processes, self.name)
        self.cold_start = time.monotonic() - began
        self.idle = machine.resident(self.pid, "VmRSS")

    def _once(self, command: Sequence[str]) -> str:
        done = subprocess.run(
            command, cwd=self.tree, env=self.environment, capture_output=True, text=True, timeout=START, check=False
        )
        if done.returncode:
            raise NotStarted(f"{self.name}: {' '.join(command[:3])}: {(done.stdout + done.stderr)[-3000:]}")
        lines = done.stdout.splitlines()
        return lines[-1] if lines else ""


def wait_for(url: str, key: str, process: subprocess.Popen[bytes], processes: machine.Processes, name: str) -> None:
    """Ask until an answer is the scenario's. Raises NotStarted."""
    headers = {"Authorization": f"Bearer sk-{key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url + scenario.PATH, scenario.REQUEST, headers)
    end = time.monotonic() + START
    told = ""
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                if answer.read() == scenario.ANSWER:
                    return
                told = f"an answer of status {answer.status} that is not the upstream's"
        except urllib.error.HTTPError as error:
            told = error.read().decode(errors="replace")
        except OSError as error:
            told = str(error)
        time.sleep(0.02)
    raise NotStarted(f"{name} does not answer: {told}\n{processes.output(name)}")
