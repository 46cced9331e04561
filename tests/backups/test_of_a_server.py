"""A backup of a server under load, restored elsewhere: the books are whole, and the same keys are served."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from backups import restoring
from backups.refusals import InUse
from tests import migrated, server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.relay.raw import Got, ask, chat
from tests.server import ROOT, Account, Gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MODEL = "gpt-3.5-turbo"
PATH = "/v1/chat/completions"
OWN_SECRET = {"SESSION_SECRET": ""}  # the file beside the database
BEFORE = 60  # calls answered before the backup begins


def manage(gateway: Gateway, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        cwd=gateway.folder,
        env={**gateway.environment, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def load(gateway: Gateway, account: Account, answered: list[str]) -> Iterator[None]:
    """Calls from four callers at a time; `answered` are the request ids, as they come."""
    over = threading.Event()

    def caller(_: int) -> None:
        while not over.is_set():
            got = ask(gateway, account, PATH, chat(MODEL))
            assert got.status == 200
            answered.append(got.request_id)

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(caller, i) for i in range(4)]
        try:
            yield
        finally:
            over.set()
        for one in running:
            one.result()


def test_a_backup_under_load_is_restored_elsewhere_and_served(upstream: FakeUpstream, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    archive = tmp_path / "backup.tar.gz"
    answered: list[str] = []
    with (
        migrated.copy("sqlite", here) as database,
        server.running(database, 1, here, OWN_SECRET) as gateway,
    ):
        gateway.add_channel(upstream.url, MODEL)
        account = gateway.new_user(10**9)
        gateway.wait_until_routed(account.key, MODEL)
        with load(gateway, account, answered):
            while len(answered) < BEFORE:
                time.sleep(0.01)
            before = list(answered)
            made = manage(gateway, "backup", str(archive))
        assert made.returncode == 0, made.stderr
        assert len(answered) > len(before)  # it went on meanwhile
        keyed = _keyed(gateway, account, "after the backup")
        with pytest.raises(InUse, match="a server runs on"):
            restoring.restore(archive, {"default": Path(database.name)}, "")
        gateway.books().check()

    copy = Database("sqlite", str(there / "one-api.db"), database.server)
    second = Gateway(copy, 1, there, OWN_SECRET)
    restoring.restore(archive, {"default": Path(copy.name)}, "")
    try:
        second.start()
        books = second.books()
        assert books.missing(before) == []
        books.wait_settled(server.HOLD_TTL + 20)
        books.check()
        assert ask(second, account, PATH, chat(MODEL)).status == 200
        assert "idempotent-replayed" not in _keyed(second, account, "after the backup").headers
        assert keyed.status == 200
        reconciled = manage(second, "reconcile")
        assert (reconciled.returncode, reconciled.stdout.splitlines()[-1]) == (0, "The books agree.")
    finally:
        second.close()


def _keyed(gateway: Gateway, account: Account, key: str) -> Got:
    return ask(gateway, account, PATH, chat(MODEL), headers={"Idempotency-Key": key})
