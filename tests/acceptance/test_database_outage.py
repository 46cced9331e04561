"""PostgreSQL is away for 10 s under load: no answer goes out uncharged, and service comes back by itself."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.acceptance.traffic import MODELS, mixed
from tests.conftest import MakeGateway
from tests.databases import Server
from tests.fake_upstream import FakeUpstream
from tests.load import Client
from tests.ports import free_port
from tests.server import HOLD_TTL

pytestmark = [pytest.mark.load, pytest.mark.timed, pytest.mark.timeout(240)]

AWAY = 10  # seconds
LOAD = 3  # seconds of load before it
RESUMED = 15  # seconds after the database is back in which calls must pass again
AT_A_TIME = 32
OPENING = 10**10


class Cluster:
    """A PostgreSQL server of the test's own; the shared one must not be stopped under other tests."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._data, self._port = programs, folder / "data", free_port()
        # The server refuses to run as root, so it runs as whom the package made for it.
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        if self._as:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "--username=oneapi", "--auth=trust", "--encoding=UTF8", "--locale=C")
        self.server = Server("postgres", f"postgres://oneapi@127.0.0.1:{self._port}/postgres")

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._data}"
        self._run("pg_ctl", "--wait", "--silent", f"--log={self._data}/log", f"--options={options}", "start")

    def stop(self) -> None:
        """At once, as a crash would: what was not written ahead is gone."""
        self._run("pg_ctl", "--wait", "--silent", "--mode=immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self._programs / program), f"--pgdata={self._data}", *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", check=False
        )
        assert done.returncode == 0, done.stdout


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if found is None:
        databases.missing("PostgreSQL's server programs are not installed")
    folder = Path(tempfile.mkdtemp(prefix="cluster-", dir="/tmp"))
    made = Cluster(Path(found).parent, folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


async def test_nothing_is_answered_that_is_not_charged(
    cluster: Cluster, gateway: MakeGateway, upstream: FakeUpstream, tmp_path: Path
) -> None:
    with databases.fresh("postgres", tmp_path, cluster.server) as database:
        server = gateway(database, workers=2)
        accounts = [server.new_user(OPENING), server.new_user(OPENING, remain_quota=OPENING // 2)]
        server.add_channel(upstream.url, MODELS)
        server.wait_until_routed(accounts[0].key, "gpt-4o-mini")
        expected: dict[str, int] = {}
        over = asyncio.Event()
        away = back = resumed = 0.0
        refused: set[int] = set()
        during: Counter[int] = Counter()

        async def outage() -> None:
            nonlocal away, back
            await asyncio.sleep(LOAD)
            await asyncio.to_thread(cluster.stop)
            away = time.monotonic()
            await asyncio.sleep(AWAY)
            await asyncio.to_thread(cluster.start)
            back = time.monotonic()

        async with Client(server.base_url) as client:
            trouble = asyncio.create_task(outage())
            async for call, answer in client.stream(mixed(3, accounts), AT_A_TIME, until=over.is_set):
                if away and answer.ended > away and not back:
                    during[answer.status] += 1
                if call.about.answered(answer):
                    expected[answer.request_id] = call.about.charge
                    if back and answer.started > back:
                        resumed = resumed or answer.ended
                elif answer.status < 500:
                    refused.add(answer.status)
                if (resumed and answer.ended > resumed + LOAD) or (back and time.monotonic() > back + RESUMED + LOAD):
                    over.set()
            await trouble

        assert resumed, "no call passed after the database was back"
        assert resumed - back < RESUMED
        print(f"resumed {resumed - back:.1f} s after the database; answers meanwhile: {dict(during)}")
        assert refused <= {0, 200}, "the caller is blamed for what the database did"  # 200: a stream cut short
        books = server.books()
        books.wait_settled(HOLD_TTL + 20)
        books.check()
        assert books.missing(expected) == []
        charges = books.charges()
        assert {i: (charges[i], points) for i, points in expected.items() if charges[i] != points} == {}
        server.close()
