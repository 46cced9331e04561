"""PostgreSQL, Redis and nginx of one run alone, as processes of this one, gone when it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from tests.databases import Database, Server
from tests.nodes.network import Place
from tests.ports import free_port
from tests.server import ROOT

CONFIGURATION = ROOT / "deploy" / "nginx.conf"
ANSWERS = 20  # seconds a service has to begin to answer


@contextmanager
def postgres(folder: Path, here: str) -> Iterator[Database]:
    """A cluster made for this run, open to the network it is in; as user postgres where this is root."""
    as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    port, data = free_port(), folder / "postgres"
    data.mkdir()
    if as_owner:
        folder.chmod(0o755)
        shutil.chown(data, "postgres", "postgres")
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    make: list[object] = [
        *as_owner,
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "oneapi",
        "-A",
        "trust",
        "--no-sync",
        "--no-instructions",
    ]
    subprocess.run([str(word) for word in make], cwd="/", check=True, stdout=subprocess.DEVNULL)
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all samenet trust\n")
    options = f"-c listen_addresses={here} -c port={port} -c unix_socket_directories= -c max_connections=200"
    command = [*as_owner, binaries / "postgres", "-D", data, *options.split()]
    with running(command, folder / "postgres.out"):
        server = Server("postgres", f"postgres://oneapi@{here}:{port}/postgres")
        until(lambda: _postgres_answers(server), "PostgreSQL")
        server.execute("CREATE DATABASE gateway")
        yield Database("postgres", "gateway", server)


def _postgres_answers(server: Server) -> bool:
    try:
        server.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


@dataclass
class Redis:
    """A server that can be killed, frozen and started again at the same address."""

    host: str
    folder: Path
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def start(self) -> None:
        self.port = self.port or free_port()
        command = [
            "redis-server",
            "--bind",
            self.host,
            "--port",
            str(self.port),
            "--save",
            "",
            "--protected-mode",
            "no",
        ]
        with (self.folder / "redis.out").open("ab") as output:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=output)
        until(self._answers, "Redis")

    def _answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url, socket_timeout=1).ping())
        except redis.RedisError:
            return False

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def redis_server(folder: Path, here: str) -> Iterator[Redis]:
    made = Redis(here, folder)
    try:
        made.start()
        yield made
    finally:
        made.kill()


@contextmanager
def nginx(folder: Path, here: str, nodes: tuple[Place, ...], certificate: Path | None = None) -> Iterator[str]:
    """nginx with deploy/nginx.conf, its addresses and its log's folder put in place; gives its address.

    `certificate`: a file with it and its key, for TLS.
    """
    port = free_port()
    text = CONFIGURATION.read_text()
    for number, node in enumerate(nodes, 1):
        text = replaced(text, f"server node{number}:3000 ", f"server {node.host}:{node.port} ")
    door = f"listen {here}:{port} default_server;"
    if certificate is not None:
        tls = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};"
        door = f"listen {here}:{port} ssl default_server; {tls}"
    text = replaced(text, "listen 80 default_server;", door)
    text = replaced(text, "/var/log/nginx/", f"{folder}/nginx-")
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):  # those compiled in may be another user's
        text = replaced(text, "http {\n", f"http {{\n    {kind}_temp_path {folder}/nginx-{kind};\n")
    (folder / "nginx.conf").write_text(text)
    command = [
        "nginx",
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-g",
        f"daemon off; pid {folder}/nginx.pid;",
    ]
    with running(command, folder / "nginx.out", signal.SIGTERM):
        yield f"http://{here}:{port}" if certificate is None else f"https://{here}:{port}"


def replaced(text: str, old: str, new: str) -> str:
    """A configuration that lacks what is to be put in place must not go unnoticed."""
    assert old in text, old
    return re.sub(re.escape(old), lambda _: new, text)


@contextmanager
def running(command: Sequence[object], output: Path, end: signal.Signals = signal.SIGINT) -> Iterator[None]:
    """A process that is asked to end at the exit (SIGINT is PostgreSQL's fast shutdown)."""
    with output.open("ab") as file:
        process = subprocess.Popen([str(word) for word in command], cwd="/", stdout=file, stderr=file)
    try:
        yield
    finally:
        for pid in {process.pid, *_children(process.pid)}:  # runuser stays in front of what it runs
            os.kill(pid, end)
        process.wait(ANSWERS)


def _children(pid: int) -> list[int]:
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    if name != "runuser":
        return []
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(holds: Callable[[], bool], what: str, seconds: float = ANSWERS) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)
