"""A gateway of some checkout on a database of its own, as an operator would run it: by `manage.py serve`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
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
from bench.target import Target

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
    program: str = "manage.py"  # within the checkout; bench/unbilled.py serves without books
    workers: int = 1
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

    @property
    def plain(self) -> Target:
        return Target(self.port, self.key)

    @property
    def paced(self) -> Target:
        """Over the channel to the upstream that takes its time."""
        return Target(self.port, self.stream_key)

    def start(self, upstream: str, stream_upstream: str) -> None:
        """Migrate, seed, serve; returns when a call has been answered. Raises NotStarted."""
        seeded = self._seeded(upstream, stream_upstream)
        self.key, self.stream_key = seeded["key"], seeded["stream_key"]
        self.port = machine.free_port()
        command = [sys.executable, str(self.tree / self.program), "serve", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", str(self.workers), "--log-dir", ""]
        began = time.monotonic()
        self._process = self.processes.start(self.name, command, self.core, self.environment, cwd=self.tree)
        wait_for(self.plain, self._process, self.processes, self.name)
        self.cold_start = time.monotonic() - began
        self.idle = machine.resident(self.pid)

    def _seeded(self, *upstreams: str) -> dict[str, str]:
        """Make the tables and what stands in them; on SQLite once for all gateways of a checkout, and copied."""
        name = hashlib.sha256(repr((self.tree, upstreams)).encode()).hexdigest()[:12]
        kept, keys = (self.processes.folder / f"seeded-{name}.{end}" for end in ("db", "json"))
        if self.database.kind == "sqlite" and keys.exists():
            shutil.copyfile(kept, self.database.name)
        else:
            self._once([sys.executable, str(self.tree / "manage.py"), "migrate", "--verbosity", "0"])
            told = self._once([sys.executable, str(HERE / "seed.py"), *upstreams])
            if self.database.kind != "sqlite":
                return dict(json.loads(told))
            shutil.copyfile(self.database.name, kept)  # nobody has it open, so all of it is in this file
            keys.write_text(told)
        return dict(json.loads(keys.read_text()))

    def _once(self, command: Sequence[str]) -> str:
        done = subprocess.run(
            command, cwd=self.tree, env=self.environment, capture_output=True, text=True, timeout=START, check=False
        )
        if done.returncode:
            raise NotStarted(f"{self.name}: {' '.join(command[:3])}: {(done.stdout + done.stderr)[-3000:]}")
        lines = done.stdout.splitlines()
        return lines[-1] if lines else ""


def wait_for(
    target: Target, process: subprocess.Popen[bytes], processes: machine.Processes, name: str, start: float = START
) -> None:
    """Ask until an answer says what the scenario's says. Raises NotStarted after `start` seconds."""
    headers = {"Authorization": f"Bearer sk-{target.key}", "Content-Type": "application/json"}
    headers |= dict(line.split(": ", 1) for line in target.headers)
    url = f"http://127.0.0.1:{target.port}{scenario.PATH}"
    request = urllib.request.Request(url, scenario.request(target.model), headers)
    end = time.monotonic() + start
    told = ""
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                if scenario.CONTENT in answer.read():
                    return
                told = f"an answer of status {answer.status} that is not the upstream's"
        except urllib.error.HTTPError as error:
            told = error.read().decode(errors="replace")
        except OSError as error:
            told = str(error)
        time.sleep(0.02)
    raise NotStarted(f"{name} does not answer: {told}\n{processes.output(name)}")
