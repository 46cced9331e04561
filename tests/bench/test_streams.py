"""What is said of streams: no event may be missing, doubled or out of its place without being counted."""

from __future__ import annotations

import asyncio

import pytest

from bench import crowd, scenario, streams
from bench.paced import Connection, Manner
from bench.target import Target


async def against(manner: Manner, ask, *arguments):
    """What a load generator says of an upstream of this manner."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(manner), "127.0.0.1", 0)
    async with server:
        told = await ask(Target(server.sockets[0].getsockname()[1]), *arguments)
        await asyncio.sleep(0.01)  # both ends of each connection are closed
        return told


def test_whole_streams_have_lost_nothing():
    told = asyncio.run(against(Manner(0, scenario.EVENTS, 0.001), streams.run, 10))
    assert (told["streams"], told["whole"], told["lost"]) == (10, 10, 0)


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (lambda events: events[:-1], 1),
        (lambda events: [*events, events[-1]], 1),  # one too many
        (lambda events: [events[1], events[0], *events[2:]], 2),
    ],
)
def test_an_event_out_of_its_place_is_lost(change, lost):
    manner = Manner(0, scenario.EVENTS, 0)
    manner.chunks = change(manner.chunks)
    assert asyncio.run(against(manner, streams.run, 1))["lost"] == lost


def test_a_stream_whose_last_chunk_comes_alone_is_over_with_it_and_not_before():
    async def cut_up() -> list[bool]:
        stream = streams.Stream(b"")
        stream.connection_made(asyncio.Transport())
        stream._asked = 0.0
        over = []
        for part in (b"HTTP/1.1 200 OK\r\nx-id: 0\r\n\r\n", b"a\r\ndata: {}\n\n\r\n", b"0\r\n\r\n"):
            stream.data_received(part)
            over.append(stream.over.done())
        return over

    assert asyncio.run(cut_up()) == [False, False, True]


def test_a_refused_stream_is_over_at_once_and_has_lost_all():
    async def refused() -> tuple[bool, bool, int]:
        stream = streams.Stream(b"")
        stream.data_received(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}")
        return stream.over.done(), stream.whole, stream.lost

    assert asyncio.run(refused()) == (True, False, scenario.EVENTS + 1)


def test_a_crowd_is_open_all_at_once_and_hears_every_event():
    told = asyncio.run(against(Manner(0, scenario.SLOW_EVENTS, 0.05), crowd.run, 30))
    assert (told["streams"], told["most_open"], told["lost"]) == (30, 30, 0)
