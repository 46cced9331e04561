"""The event parser beside a reference of it that reads the whole stream at once, as WHATWG HTML 9.2.6 words it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay import sse
from relay.passages.framing import EventFraming

BOM = b"\xef\xbb\xbf"


def expected(stream: bytes) -> list[bytes]:
    """The payloads of all complete events, by the letter of the specification."""
    text = stream.removeprefix(BOM).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    payloads: list[bytes] = []
    data: list[bytes] = []
    for line in text.split(b"\n")[:-1]:  # what follows the last line end is no line yet
        if not line:
            if data:
                payloads.append(b"\n".join(data))
            data = []
            continue
        name, colon, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" ") if colon else b"")
    return payloads


def parsed(chunks: list[bytes]) -> tuple[list[sse.Event], sse.Event | None]:
    parser = sse.Parser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events, parser.close()


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(borders)]


LINES = st.one_of(
    st.sampled_from([b"", b"", b"data", b"data:", b"data: x", b"data:x", b"data:  two", b"data : no", b"datax: no"]),
    st.sampled_from([b": comment", b"event: message", b"id: 7", b"retry: 10", b"data: [DONE]", b"\xef\xbb\xbfdata: x"]),
    st.binary(max_size=6).map(lambda raw: b"data: " + raw.replace(b"\r", b"").replace(b"\n", b"")),
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
STREAMS = st.tuples(
    st.sampled_from([b"", BOM]), st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=14).map(b"".join)
).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 400), max_size=12))
@example(b"data: x\r\n\r\ndata: y\r\n\r\n", [8, 9, 10, 11])
@example(b"data: x\n\r\ndata: y\n\n", [9])
@example(BOM + b"data: x\n\n", [1, 2])
def test_any_chunking_gives_the_events_of_the_specification(stream: bytes, places: list[int]) -> None:
    events, _ = parsed(cut(stream, places))

    assert [event.data for event in events if event.data is not None] == expected(stream)


@given(STREAMS, st.lists(st.integers(0, 400), max_size=12))
def test_no_byte_is_lost_or_changed_but_the_mark(stream: bytes, places: list[int]) -> None:
    events, last = parsed(cut(stream, places))

    passed_on = b"".join(event.raw for event in events)
    rest = stream.removeprefix(BOM).removeprefix(passed_on)
    assert passed_on + rest == stream.removeprefix(BOM)
    assert last is None if not rest.strip() else last is not None and last.raw == rest


@given(STREAMS)
def test_byte_by_byte_is_as_good_as_whole(stream: bytes) -> None:
    whole, _ = parsed([stream])
    single, _ = parsed([stream[i : i + 1] for i in range(len(stream))])

    assert [e.data for e in single if e.data is not None] == [e.data for e in whole if e.data is not None]


@pytest.mark.parametrize("size", [64 * 1024, 5_000_000])
def test_a_huge_event_arrives_whole(size: int) -> None:
    stream = b"data: " + b"x" * size + b"\n\n"

    events, last = parsed([stream[i : i + 65_536] for i in range(0, len(stream), 65_536)])

    assert [event.data for event in events] == [b"x" * size]
    assert last is None


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 1000)
    parser = sse.Parser()
    parser.feed(b"data: " + b"x" * 900)

    with pytest.raises(sse.EventTooLong):
        parser.feed(b"x" * 200)


def test_many_short_events_in_one_chunk_are_no_long_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 1000)

    events, _ = parsed([b"data: short\n\n" * 1000])

    assert len(events) == 1000


def test_what_lacks_its_blank_line_is_handed_out_at_the_end() -> None:
    events, last = parsed([b"data: one\n\ndata: two"])

    assert [event.data for event in events] == [b"one"]
    assert last is not None
    assert last.data == b"two"


USUAL = st.lists(
    st.one_of(LINES.map(lambda line: line + b"\n\n"), st.just(b"data: x\n\n"), st.tuples(LINES, ENDS).map(b"".join)),
    max_size=6,
).map(b"".join)


@given(st.one_of(USUAL, STREAMS))
@example(b"data: x\n\ndata: y\n\n")
@example(b"data: x\n\nid: 1\ndata: y\n\n")
@example(b"data: x\n\n: hidden\n\ndata: y\n\n")
@example(b"data: x\ndata: y\n\n")
def test_the_short_way_is_taken_only_where_it_tells_the_same(chunk: bytes) -> None:
    short, whole = sse.Parser(), sse.Parser()
    short.feed(b"data: first\n\n")
    whole.feed(b"data: first\n\n")
    payloads = short.plain(chunk)

    if payloads is not None:
        events = whole.feed(chunk)
        assert payloads == [event.data for event in events]
        assert chunk == b"".join(event.raw for event in events)


def test_the_short_way_is_taken_for_what_upstreams_send() -> None:
    parser = sse.Parser()
    assert parser.plain(b"data: x\n\n") is None  # a mark may come first
    parser.feed(b"data: first\n\n")

    assert parser.plain(b'data: {"a": 1}\n\ndata: [DONE]\n\n') == [b'{"a": 1}', b"[DONE]"]
    parser.feed(b"data: ha")
    assert parser.plain(b"lf\n\ndata: x\n\n") is None


@pytest.mark.parametrize("ends", [b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\n\n", b"\r\r"])
def test_an_event_is_passed_on_when_it_is_read(ends: bytes) -> None:
    """Each line may end in its own way, as where a proxy has rewritten some of them."""
    event = b"data: 1" + ends

    assert [read.data for read in sse.Parser().feed(event)] == [b"1"]
    assert EventFraming().feed(event) == event
    framing = EventFraming()
    assert b"".join(framing.feed(event[at : at + 1]) for at in range(len(event))) == event
