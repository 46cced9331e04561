"""What every fault is done to: a gateway on a database and a Redis of the suite's own, and what it stands at when idle.

A site serves all faults of its database one after the other, and its books are checked whole after each: what an
earlier fault left behind would show as well.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import databases
from tests.acceptance.traffic import MODELS
from tests.chaos import servers
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.server import Account, Gateway

OPENING = 10**11  # points
WORKERS = 2
DISK = 512 * 2**20  # bytes
DATABASES = ("sqlite", "postgres", "mysql")
RAW_MODEL = "gpt-4"  # its channel leads to the provider that breaks the protocol (upstream_raw)
SETTINGS = {
    "RELAY_FIRST_BYTE_TIMEOUT": "8",  # seconds: an upstream that hangs is given up while a test waits
    "RELAY_IDLE_TIMEOUT": "8",
}


@dataclass
class Standing:
    """What the serving processes hold."""

    sockets: int  # but for those to upstreams, which a pool keeps open for a minute
    threads: int
    memory: int  # bytes


@dataclass
class Site:
    kind: str
    gateway: Gateway
    redis: servers.Redis
    server: servers.Postgres | servers.MariaDB | None  # None: SQLite
    upstream: FakeUpstream
    raw: str  # the address of upstream_raw
    accounts: list[Account] = field(default_factory=list)
    charged: dict[str, int] = field(default_factory=dict)  # every answered call so far, by request id
    room: Path | None = None  # a small file system of its own on which the database is

    @property
    def database(self) -> Database:
        return self.gateway.database

    def standing(self) -> Standing:
        pids = self.gateway.worker_pids()
        pooled = {int(url.rpartition(":")[2]) for url in (self.upstream.url, self.raw)}
        return Standing(
            sockets=sum(len(sockets(pid, pooled)) for pid in pids),
            threads=sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids),
            memory=self.gateway.memory(),
        )

    @contextmanager
    def under(self, settings: Mapping[str, str]) -> Iterator[Gateway]:
        """The gateway started anew with further settings, and as it was after it."""
        before = self.gateway.settings
        self.gateway.stop()
        self.gateway.settings = {**before, **settings}
        try:
            self.gateway.start()
            yield self.gateway
        finally:
            self.gateway.stop()
            self.gateway.settings = before
            self.gateway.start()

    def wait_until_served(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.gateway.answers():
            assert time.monotonic() < end, f"the gateway does not answer {seconds} s after the fault"
            time.sleep(0.1)


def sockets(pid: int, but_to: set[int]) -> set[str]:
    """The inodes of a process's sockets, without those connected to one of these ports (Linux: /proc)."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            name = str(entry.readlink())
            if name.startswith("socket:["):
                found.add(name[8:-1])
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if int(columns[2].rpartition(":")[2], 16) in but_to:
            found.discard(columns[9])
    return found


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system in memory, large enough for the suite; None where we may not mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "chaos", str(folder)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def opened(kind: str, folder: Path, upstream: FakeUpstream, raw: str) -> Iterator[Site]:
    """Raises servers.NotInstalled. `raw`: the address of upstream_raw."""
    with ExitStack() as stack:
        redis = servers.Redis(stack.enter_context(servers.folder_of("redis")))
        stack.callback(redis.close)
        redis.start()
        server: servers.Postgres | servers.MariaDB | None = None
        room: Path | None = None
        if kind != "sqlite":
            made = servers.Postgres if kind == "postgres" else servers.MariaDB
            server = made(stack.enter_context(servers.folder_of(kind)))
            stack.callback(server.close)
            server.start()
            database = Database(kind, "chaos", server.server)
            server.server.execute("CREATE DATABASE chaos")
        else:
            room = stack.enter_context(small_disk(folder / "disk"))
            database = stack.enter_context(databases.fresh("sqlite", room or folder))
        gateway = Gateway(database, WORKERS, folder, {**SETTINGS, "REDIS_CONN_STRING": redis.url})
        stack.callback(gateway.close)
        gateway.start()
        site = Site(kind, gateway, redis, server, upstream, raw, room=room)
        site.accounts = [gateway.new_user(OPENING), gateway.new_user(OPENING, remain_quota=OPENING // 2)]
        gateway.add_channel(upstream.url, MODELS)
        gateway.add_channel(raw, RAW_MODEL, name="raw")
        gateway.wait_until_routed(site.accounts[0].key, RAW_MODEL)
        yield site
