"""The real server for tests: `manage.py serve` in processes of its own, on a database of its own, on a free port.

Everything said to it goes over its socket or through an operator's process; everything checked is read from its tables.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.books import Books
from tests.databases import Database
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
START = 60  # seconds a start may take, the migrations of a new database included
STOP = 30  # seconds a graceful stop may take
ROOT_PASSWORD = "a-root-password-of-the-tests"
ROOT_TOKEN = "RootTokenOfTheTests" + "0" * 29
ROOT_ACCESS_TOKEN = "0123456789abcdef0123456789abcdef"
HOLD_TTL = 5  # seconds; the least the settings allow
HOLD_WAIT = 3  # seconds; with more, the key of a call that died would be its own for longer than its hold

ENVIRONMENT = {
    "SESSION_SECRET": "a secret of the tests, long enough to be taken seriously",
    "INITIAL_ROOT_PASSWORD": ROOT_PASSWORD,
    "INITIAL_ROOT_TOKEN": ROOT_TOKEN,
    "INITIAL_ROOT_ACCESS_TOKEN": ROOT_ACCESS_TOKEN,
    "GLOBAL_API_RATE_LIMIT": "0",
    "GLOBAL_WEB_RATE_LIMIT": "0",
    "HOLD_TTL": str(HOLD_TTL),
    "HOLD_WAIT": str(HOLD_WAIT),
    "PYTHONUNBUFFERED": "1",
}
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")


class NotStarted(AssertionError):
    """The server did not answer in time; the message is the end of its output."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user made for a test, with one token. `key` is without `sk-`."""

    id: int
    username: str
    token_id: int
    key: str


@dataclass
class Gateway:
    database: Database
    workers: int
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    host: str = "127.0.0.1"
    inside: tuple[str, ...] = ()  # a command that runs the server in a network namespace
    root: Path = ROOT  # of the code that serves
    _process: subprocess.Popen[bytes] | None = None
    _operator: subprocess.Popen[str] | None = None
    _users: int = 0

    # Running it

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {**inherited, **ENVIRONMENT, **self.database.environment, **self.settings}

    @property
    def output(self) -> Path:
        return self.folder / "server.out"

    def start(self) -> None:
        """Returns when calls are answered. Raises NotStarted."""
        self.port = self.port or free_port()
        command = [*self.inside, sys.executable, str(self.root / "manage.py"), "serve", "--host", self.host]
        command += ["--port", str(self.port)]
        command += ["--workers", str(self.workers), "--log-dir", str(self.folder / "logs")]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )
        end = time.monotonic() + START
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill9()
                raise NotStarted(self.output.read_text(errors="replace")[-4000:])
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether root's token is known and channels are loaded, by the worker that happened to answer."""
        try:
            return self.call(ROOT_TOKEN, "GET", "/v1/models")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self) -> float:
        """A graceful stop (SIGTERM); returns the seconds it took."""
        if self._process is None:
            return 0.0
        began = time.monotonic()
        self._process.terminate()
        self._process.wait(STOP)
        self._process = None
        return time.monotonic() - began

    def kill9(self, which: str = "all") -> None:
        """SIGKILL to the master and all workers ("all"), or to one worker ("worker"), which the master replaces."""
        assert self._process is not None
        if which == "worker":
            os.kill(self.worker_pids()[0], signal.SIGKILL)
            return
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait(STOP)
        self._process = None

    def restart(self) -> None:
        """After `stop` or `kill9`: the same database, the same port."""
        self.start()

    def worker_pids(self) -> list[int]:
        """Processes that serve: the children of the master, or the process itself where there are none."""
        assert self._process is not None
        return descendants(self._process.pid) or [self._process.pid]

    def pids(self) -> list[int]:
        """All processes of the server, the master first."""
        assert self._process is not None
        return [self._process.pid, *descendants(self._process.pid)]

    def memory(self) -> int:
        """Bytes resident in all processes of the server; a page they share counts once (PSS of Linux)."""
        return sum(proportional_set_size(pid) for pid in self.pids())

    def close(self) -> None:
        if self._operator is not None:
            self._operator.communicate()  # closes its input, which ends it
        if self._process is not None:
            self.kill9()

    # Talking to it

    def root_api(self) -> httpx.Client:
        """The management API as root."""
        headers = {"Authorization": f"Bearer {ROOT_ACCESS_TOKEN}"}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=30)

    def api(self, method: str, path: str, **keywords: Any) -> Any:
        """One management call as root; returns `data`. Fails the test with the answer's message."""
        with self.root_api() as client:
            answer = client.request(method, path, **keywords).json()
        assert answer["success"], answer["message"]
        return answer.get("data")

    def operator(self, order: str, **arguments: Any) -> Any:
        """One order to the operator's process (tests.operator); returns its value."""
        if self._operator is None:
            with (self.folder / "operator.out").open("ab") as output:
                self._operator = subprocess.Popen(
                    [sys.executable, "-m", "tests.operator"],
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    text=True,
                )
        assert self._operator.stdin is not None
        assert self._operator.stdout is not None
        print(json.dumps({"do": order, **arguments}), file=self._operator.stdin, flush=True)
        answer = self._operator.stdout.readline()
        assert answer, (self.folder / "operator.out").read_text()[-4000:]
        return json.loads(answer)["value"]

    def new_user(self, quota: int, *, remain_quota: int | None = None, **token: Any) -> Account:
        """A user with `quota` points and one token, unlimited unless `remain_quota` is given."""
        self._users += 1
        username = f"user{self._users}"
        user_id = self.operator("user", username=username, quota=quota)
        made = self.operator("token", user_id=user_id, remain_quota=remain_quota, **token)
        return Account(user_id, username, made["id"], made["key"])

    def add_channel(self, base_url: str, models: str, **fields: Any) -> int:
        """An enabled channel for the group `default`, OpenAI's type unless `type` says otherwise; returns the id."""
        values = {"type": 1, "name": "gpt", "key": "sk-upstream", **fields}
        channel_id: int = self.operator("channel", base_url=base_url, model_names=models, **values)
        return channel_id

    def call(self, key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, JSON) of one call on a connection of its own, so that any worker may answer."""
        headers = {"Authorization": f"Bearer sk-{key}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=30)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.load(answer)

    def wait_until_routed(self, key: str, model: str, seconds: float = 20) -> None:
        """Until every worker knows the model, and every channel and option there is now.

        That a model is known does not tell that all its channels are, where there are several. Which worker answers is
        the kernel's choice, so many calls at once, a few times over, must all say so.
        """
        at_once, rounds = (1, 1) if self.workers == 1 else (15 * self.workers, 3)
        end = time.monotonic() + seconds
        version = self.database.value("SELECT number FROM config_versions WHERE name = 'routing'")
        known = 0
        with ThreadPoolExecutor(at_once) as threads:
            while True:
                answers = list(threads.map(lambda _: self.call(key, "GET", "/v1/models"), range(at_once)))
                every = all(status == 200 and model in {one["id"] for one in body["data"]} for status, body in answers)
                known = known + 1 if every else 0
                if known >= rounds and self._routes_by(version):
                    return
                assert time.monotonic() < end, f"{model} not routed after {seconds} s: {answers[-1]}"
                time.sleep(0.2)

    def _routes_by(self, version: int) -> bool:
        """Whether all workers do, or newer ones. Code from before there were figures cannot tell."""
        return self.root != ROOT or self.metric("one_api_snapshot_version") >= version

    def metric(self, name: str) -> float:
        """A figure of this node that has no labels. Workers bring theirs up to date once a second."""
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=30)) as connection:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            page = answer.read().decode()
        assert answer.status == 200, page
        (value,) = [line.split()[1] for line in page.splitlines() if line.startswith(f"{name} ")]
        return float(value)

    # Reading its books

    def books(self) -> Books:
        return Books(self.database)


@contextmanager
def running(database: Database, workers: int, folder: Path, settings: Mapping[str, str]) -> Iterator[Gateway]:
    gateway = Gateway(database, workers, folder, settings)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.close()


def descendants(pid: int) -> list[int]:
    """Children and their children, oldest first (Linux: /proc)."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return sorted(found)


def proportional_set_size(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not tell Pss")
