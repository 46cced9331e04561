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


async def test_no_more_file_descriptors(anywhere: Site, attempt: Try) -> None:
    async with attempt("no more file descriptors") as trial:
        for _ in range(rounds(1, 3)):
            with few_files(anywhere.gateway.worker_pids()):
                async with Storm(anywhere, at_a_time=60, flows=False) as crowd:
                    await asyncio.sleep(LASTS)
            async with Storm(anywhere) as storm:
                resumed = await storm.resumed()
            trial.heard(crowd, resumed)
            trial.heard(storm, resumed)
            trial.row.rounds -= 1


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
