"""Database and Redis servers of the suite's own, on ports of their own: nobody else's are stopped, frozen or killed.

Each can be stopped as an operator would, killed (SIGKILL), frozen and thawed (SIGSTOP and SIGCONT to all processes).
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pymysql

from tests.databases import Server
from tests.ports import free_port
from tests.server import descendants

START = 60  # seconds


class NotInstalled(RuntimeError):
    """The server's programs are not on this machine."""


class Process:
    """A server process of another program, and what can happen to it."""

    _process: subprocess.Popen[bytes] | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Returns when it answers; what a crash left behind is recovered by then."""
        with (self.folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(self.command(), cwd="/", stdout=output, stderr=output)
        end = time.monotonic() + START
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError((self.folder / "server.log").read_text(errors="replace")[-3000:])
            time.sleep(0.05)

    def pids(self) -> list[int]:
        """The parent first."""
        assert self._process is not None
        return [self._process.pid, *descendants(self._process.pid)]

    def stop(self) -> None:
        """An orderly stop which does not wait for clients."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """kill -9 of every process of the server, as a power cut would end them."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._end(signal.SIGKILL)

    stop_signal = signal.SIGTERM

    def _end(self, number: int) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)
        self._process.wait(START)
        self._process = None

    def freeze(self) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        if self._process is not None:
            self.thaw()
            self.kill()


class Postgres(Process):
    """A cluster made by initdb. The server refuses to run as root, so it runs as whom the package made for it."""

    stop_signal = signal.SIGQUIT  # "immediate": what was not written ahead is gone

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        found = shutil.which("postgres") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))), None)
        if found is None:
            raise NotInstalled("PostgreSQL's server programs are not installed")
        self._programs = Path(found).parent
        self._as = _as_user("postgres", folder)
        self._data = folder / "data"
        initdb = [*self._as, str(self._programs / "initdb"), f"--pgdata={self._data}", "--username=oneapi"]
        _run([*initdb, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
        self.server = Server("postgres", f"postgres://oneapi@127.0.0.1:{self.port}/postgres")

    def command(self) -> list[str]:
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self._data), "port": str(self.port)}
        told = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        # setpriv becomes the server: it has the id of this process.
        return [*self._as, str(self._programs / "postgres"), "-D", str(self._data), *told]

    def answers(self) -> bool:
        try:
            self.server.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def backends(self) -> list[int]:
        """Processes that serve a client each, the gateway's among them."""
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            return [pid for (pid,) in connection.execute(query)]


class MariaDB(Process):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        install, self._program = shutil.which("mariadb-install-db"), shutil.which("mariadbd", path=_with_sbin())
        if install is None or self._program is None:
            raise NotInstalled("MariaDB's server programs are not installed")
        self._as = _as_user("mysql", folder)
        self._data, self._socket = folder / "data", folder / "socket"
        self._first = folder / "first.sql"
        self._first.write_text(
            "CREATE OR REPLACE USER chaos@'%' IDENTIFIED BY 'chaos';\nGRANT ALL ON *.* TO chaos@'%';\n"
        )
        self._first.chmod(0o644)
        _run(
            [*self._as, install, "--no-defaults", f"--datadir={self._data}", "--auth-root-authentication-method=normal"]
        )
        self.server = Server("mysql", f"mysql://chaos:chaos@127.0.0.1:{self.port}/mysql")

    def command(self) -> list[str]:
        assert self._program is not None
        return [
            *self._as, self._program, "--no-defaults", f"--datadir={self._data}", f"--socket={self._socket}",
            f"--port={self.port}", "--bind-address=127.0.0.1", f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self._first}", "--max-connections=500", "--skip-name-resolve",
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            self.server.execute("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True


class Redis(Process):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        found = shutil.which("redis-server")
        if found is None:
            raise NotInstalled("Redis is not installed")
        self._program = found
        self.url = f"redis://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]

    def say(self, line: str) -> bytes:
        """The answer to one command, such as FLUSHALL."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"{line}\r\n".encode())
            return connection.recv(4096)

    def answers(self) -> bool:
        try:
            return self.say("PING").startswith(b"+PONG")
        except OSError:
            return False


def _as_user(name: str, folder: Path) -> list[str]:
    """Words before a command that make it run as `name`, who is given the folder; none where we are not root."""
    if os.getuid() != 0:
        return []
    owner = pwd.getpwnam(name)
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    return ["setpriv", f"--reuid={name}", f"--regid={owner.pw_gid}", "--clear-groups"]


def _with_sbin() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stdout


@contextmanager
def folder_of(name: str) -> Iterator[Path]:
    """Open to the servers' users, unlike pytest's folders; in the short form in memory, where they start sooner."""
    where = "/dev/shm" if os.environ.get("CHAOS") == "short" and Path("/dev/shm").is_dir() else "/tmp"
    made = Path(subprocess.check_output(["mktemp", "-d", f"{where}/chaos-{name}-XXXXXX"], text=True).strip())
    try:
        yield made
    finally:
        shutil.rmtree(made)
