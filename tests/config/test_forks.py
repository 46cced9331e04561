"""Workers are forked from a process that has used databases and Redis: nothing of it may be theirs, too."""

from __future__ import annotations

import os
from pathlib import Path

from tests.config.test_redis_alone import ADDRESS
from tests.conftest import MakeGateway
from tests.databases import Database

DOOR = 1  # the socket that listens


def opened(pid: int) -> list[str]:
    """What a process has open: paths, and `socket:[inode]`."""
    return [os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()]


def test_the_supervisor_has_no_thread_and_no_connection(database: Database, gateway: MakeGateway) -> None:
    running = gateway(database, workers=2, REDIS_CONN_STRING=ADDRESS)
    supervisor, *workers = running.pids()

    found = opened(supervisor)

    assert len(workers) == 2
    assert len(os.listdir(f"/proc/{supervisor}/task")) == 1
    assert len([one for one in found if one.startswith("socket:")]) == DOOR
    assert [one for one in found if one.endswith((".db", "-wal", "-shm"))] == []
    assert len([one for one in opened(workers[0]) if one.startswith("socket:") or one.endswith(".db")]) > DOOR
