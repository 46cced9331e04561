"""Calls at fixed times count their waiting from when they were due."""

from __future__ import annotations

import asyncio
import itertools
import time

from bench import open_loop, scenario
from bench.lane import Lane
from bench.metronome import Metronome
from bench.paced import PLAIN
from bench.target import Target, message


async def ticks(rate: float, count: int) -> list[float]:
    found: list[float] = []
    await Metronome(rate, count, found.append).over
    return found


def test_ticks_are_due_at_equal_distances_and_as_many_as_wanted():
    found = asyncio.run(ticks(2000, 50))
    assert len(found) == 50
    assert {round((later - earlier) * 1e6) for earlier, later in itertools.pairwise(found)} == {500}


def test_a_loop_that_was_away_is_told_of_all_ticks_it_missed():
    async def busy() -> list[float]:
        found: list[float] = []
        metronome = Metronome(1000, 20, found.append)
        time.sleep(0.05)  # noqa: ASYNC251 — it keeps the loop from turning
        await metronome.over
        return found

    assert len(asyncio.run(busy())) == 20


def test_a_server_that_stops_for_a_moment_is_seen_by_all_calls_that_were_due_meanwhile():
    """It answers nothing for 0.3 s, then everything at once."""

    async def scenario_of_a_pause() -> dict[str, float]:
        loop = asyncio.get_running_loop()
        opens_at = loop.time() + 0.3

        class Sleepy(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                loop.call_at(max(opens_at, loop.time()), self.transport.write, PLAIN)

        server = await loop.create_server(Sleepy, "127.0.0.1", 0)
        async with server:
            told = await open_loop.run(Target(server.sockets[0].getsockname()[1]), rate=1000, seconds=0.2)
            await asyncio.sleep(0.01)  # both ends of each connection are closed
            return told

    told = asyncio.run(scenario_of_a_pause())
    assert told["calls"] == 200
    assert told["unanswered"] == told["refused"] == told["broken"] == 0
    assert told["most_waiting"] > 0  # more calls than connections: the rest waited for one, and that counts


def test_a_connection_knows_a_whole_answer_by_its_length_however_it_is_cut():
    seen: list[bool] = []
    lane = Lane(lambda _, well: seen.append(well), lambda _: None)
    for start in range(0, len(PLAIN), 7):
        assert seen == []
        lane.data_received(PLAIN[start : start + 7])
    lane.data_received(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
    assert seen == [True, False]


def test_what_a_server_wants_beside_a_key_goes_along():
    sent = message(Target(1, key="k", headers=("x-provider: openai",)), scenario.REQUEST)
    head, _, body = sent.partition(b"\r\n\r\n")
    assert b"x-provider: openai" in head.split(b"\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
