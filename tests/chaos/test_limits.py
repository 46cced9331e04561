"""The machine runs out of something: file descriptors, or room on the disk."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.conftest import Try
from tests.chaos.site import Site
from tests.chaos.storm import SHORT, Storm, rounds

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

LASTS = 2.0 if SHORT else 8.0  # seconds
SPARE = 10  # descriptors each worker may still open: fewer than the traffic wants


@pytest.mark.chaos("sqlite")
async def test_no_more_file_descriptors(anywhere: Site, attempt: Try) -> None:
    async with attempt("no more file descriptors") as trial:
        for _ in range(rounds(1, 3)):
            async with Storm(anywhere, at_a_time=60) as storm:
                with few_files(anywhere.gateway.worker_pids()):
                    await asyncio.sleep(LASTS)
                resumed = await storm.resumed()
            trial.heard(storm, resumed)


@contextmanager
def few_files(pids: list[int]) -> Iterator[None]:
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + SPARE, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@pytest.mark.chaos("sqlite")
async def test_no_more_room_on_the_disk(anywhere: Site, attempt: Try) -> None:
    """The file system of an SQLite database is full: calls are refused, not given away, until there is room again."""
    if anywhere.room is None:
        pytest.skip("only where the database is a file, and this machine lets us mount")
    async with attempt("disk full") as trial:
        for _ in range(rounds(1, 3)):
            async with Storm(anywhere) as storm:
                filler = await asyncio.to_thread(fill, anywhere.room)
                await asyncio.sleep(LASTS)
                before = len(storm.answered)
                await asyncio.sleep(LASTS)
                assert len(storm.answered) == before, "answered with nowhere to write it down"
                filler.unlink()
                resumed = await storm.resumed()
            trial.heard(storm, resumed)


async def test_one_connection_for_all_pages(anywhere: Site, attempt: Try) -> None:
    """SQL_MAX_OPEN_CONNS is 1: what every call needs does not come out of that pool."""
    if anywhere.kind != "postgres":
        pytest.skip("only PostgreSQL's connections are pooled")
    async with attempt("one pooled connection") as trial:
        with anywhere.under({"SQL_MAX_OPEN_CONNS": "1"}):
            async with Storm(anywhere) as storm:
                await asyncio.sleep(LASTS)
                resumed = await storm.resumed()
        trial.heard(storm, resumed)
        assert set(storm.statuses) == {200}, storm.statuses


def fill(folder: Path) -> Path:
    """A file that leaves no room beside it."""
    filler = folder / "filler"
    block = b"\0" * 2**20
    with filler.open("wb", buffering=0) as file:
        while block:
            try:
                while file.write(block) == len(block):
                    pass
            except OSError:
                block = block[: len(block) // 2]
    return filler
