"""What every fault is done to: a gateway on a database and a Redis of the suite's own, and what it stands at when idle.

A site serves all faults of its database one after the other, and its books are checked whole after each: what an
earlier fault left behind would show as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
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
DATABASES = ("sqlite", "postgres", "mysql")
RAW_MODEL = "gpt-4"  # its channel leads to the provider that breaks the protocol (upstream_raw)
SETTINGS = {
    "RELAY_FIRST_BYTE_TIMEOUT": "3",  # seconds: an upstream that hangs is given up while a test waits
    "RELAY_IDLE_TIMEOUT": "3",
}


@dataclass
class Standing:
    """What the serving processes hold."""

    sockets: int  # open files of all kinds
    threads: int
    memory: int  # bytes


@dataclass
class Site:
    kind: str
    gateway: Gateway
    redis: servers.Redis
    server: servers.Postgres | servers.MariaDB | None  # None: SQLite
    upstream: FakeUpstream
    accounts: list[Account] = field(default_factory=list)
    charged: dict[str, int] = field(default_factory=dict)  # every answered call so far, by request id

    @property
    def database(self) -> Database:
        return self.gateway.database

    def standing(self) -> Standing:
        pids = self.gateway.worker_pids()
        return Standing(
            sockets=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
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
            self.gateway.close()
            self.gateway.settings = before
            self.gateway.start()

    def wait_until_served(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.gateway.answers():
            assert time.monotonic() < end, f"the gateway does not answer {seconds} s after the fault"
            time.sleep(0.1)


@contextmanager
def opened(kind: str, folder: Path, upstream: FakeUpstream, raw: str) -> Iterator[Site]:
    """Raises servers.NotInstalled. `raw`: the address of upstream_raw."""
    with ExitStack() as stack:
        redis = servers.Redis(stack.enter_context(servers.folder_of("redis")))
        stack.callback(redis.close)
        redis.start()
        server: servers.Postgres | servers.MariaDB | None = None
        if kind != "sqlite":
            made = servers.Postgres if kind == "postgres" else servers.MariaDB
            server = made(stack.enter_context(servers.folder_of(kind)))
            stack.callback(server.close)
            server.start()
            database = Database(kind, "chaos", server.server)
            server.server.execute("CREATE DATABASE chaos")
        else:
            database = stack.enter_context(databases.fresh("sqlite", folder))
        gateway = Gateway(database, WORKERS, folder, {**SETTINGS, "REDIS_CONN_STRING": redis.url})
        stack.callback(gateway.close)
        gateway.start()
        site = Site(kind, gateway, redis, server, upstream)
        site.accounts = [gateway.new_user(OPENING), gateway.new_user(OPENING, remain_quota=OPENING // 2)]
        gateway.add_channel(upstream.url, MODELS)
        gateway.add_channel(raw, RAW_MODEL, name="raw")
        gateway.wait_until_routed(site.accounts[0].key, RAW_MODEL)
        yield site
