"""Streams of lines, of which one may come in very many pieces."""

from __future__ import annotations

from typing import Any

import pytest

from relay import sse
from relay.adapters.base import LinesReader
from relay.neutral.events import Event, TextPiece


class Copied(bytes):
    """Counts the bytes that are copied where something is put behind it."""

    copied = 0

    def __add__(self, other: Any) -> Copied:
        Copied.copied += len(self) + len(other)
        return Copied(bytes(self) + other)

    def __radd__(self, other: bytes) -> Copied:
        Copied.copied += len(self) + len(other)
        return Copied(other + bytes(self))


class Plain(LinesReader):
    """Every line is a piece of text."""

    def line(self, line: bytes) -> list[Event]:
        self.ended = True
        return [TextPiece(line.decode())]


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, TextPiece)]


def test_a_long_line_is_put_together_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Copied, "copied", 0)
    reader = Plain()

    for _ in range(1000):
        assert reader.feed(Copied(b"x" * 100)) == []
    events = reader.feed(b"\n")

    assert texts(events) == ["x" * 100_000]
    assert Copied.copied <= 100_000


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_wherever_their_pieces_end(size: int) -> None:
    sent, reader = b"one\n\ntwo\r\nthree\nfo ur", Plain()

    events = [event for start in range(0, len(sent), size) for event in reader.feed(sent[start : start + size])]

    assert [text.strip() for text in texts([*events, *reader.close()]) if text.strip()] == [
        "one",
        "two",
        "three",
        "fo ur",
    ]


def test_a_line_without_end_is_cut_off() -> None:
    class Short(Plain):
        LONGEST = 10

    reader = Short()
    reader.feed(b"\n123456")
    reader.feed(b"7890")
    with pytest.raises(sse.EventTooLong):
        reader.feed(b"1")


def test_the_length_is_that_of_the_last_line_alone() -> None:
    class Short(Plain):
        LONGEST = 10

    reader = Short()
    for _ in range(5):
        reader.feed(b"12345678")
        assert texts(reader.feed(b"9\n")) == ["123456789"]
