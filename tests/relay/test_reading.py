"""What is read out of the events of a stream: the short way for pieces of text counts as the long one does."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import tokens
from relay import reading
from relay.adapters.openai.usage import read_usage
from relay.reading import StreamReader
from relay.types import Generated, Usage

CHOICE = {"index": 0, "finish_reason": None}
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": st.one_of(st.none(), st.text(max_size=8), st.just(["odd"])),
        "role": st.just("assistant"),
        "reasoning_content": st.text(max_size=4),
    },
)


def read(*documents: dict[str, Any]) -> tuple[list[bool], StreamReader]:
    reader = StreamReader(hides_usage=True)
    return [reader.feed(orjson.dumps(document)) for document in documents], reader


@given(DELTAS)
def test_a_delta_counts_the_same_with_and_without_a_member_that_tells_nothing(delta: dict[str, Any]) -> None:
    shown, short = read({"choices": [{**CHOICE, "delta": delta}]})
    told, long = read({"choices": [{**CHOICE, "delta": {**delta, "unknown": None}}]})

    assert shown == told == [True]
    assert short.generated == long.generated


@pytest.mark.parametrize("reason", [None, "stop"])
def test_a_last_piece_with_its_reason_ends_the_stream(reason: str | None) -> None:
    shown, reader = read({"choices": [{"delta": {"content": "é"}, "finish_reason": reason}]})

    assert shown == [True]
    assert (reader.generated.texts, reader.generated.size) == (["é"], 2)
    assert reader.generated.finished is (reason is not None)


def test_usage_beside_a_piece_of_text_is_heard() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    _, reader = read({"choices": [{**CHOICE, "delta": {"content": "a"}}], "usage": usage})

    assert reader.generated.usage is not None
    assert reader.generated.usage.completion_tokens == 4


async def test_what_is_being_counted_is_not_gone_before_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller leaves meanwhile, which cancels the wait: the bill is made of all that had come."""
    begun, go_on = threading.Event(), threading.Event()

    def slowly(model: str, text: str) -> int:
        begun.set()
        assert go_on.wait(10)
        return len(text.split())

    monkeypatch.setattr(tokens, "count_text", slowly)
    generated = Generated()
    reading.keep(generated, "one two ")
    reading.keep(generated, "three")
    counting = asyncio.create_task(reading.compact("gpt-3.5-turbo", generated, False))
    assert await asyncio.to_thread(begun.wait, 10)
    counting.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await counting

    assert ("".join(generated.texts), generated.counted, generated.size) == ("one two three", 0, 13)
    await reading.compact("gpt-3.5-turbo", generated, False)
    assert (generated.texts, generated.counted, generated.size, generated.unreported) == ([], 3, 0, 0)


COUNTS = st.one_of(st.none(), st.integers(-3, 9), st.just(10**12), st.just(2.5), st.just("4"), st.booleans())
NAMES = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cached_tokens")


@given(st.dictionaries(st.sampled_from(NAMES), COUNTS))
def test_usage_reads_the_same_by_the_short_way_and_by_the_long_one(usage: dict[str, Any]) -> None:
    assert reading.usage_of({"usage": usage}) == read_usage(usage)


def test_what_a_total_leaves_over_was_the_prompt() -> None:
    assert reading.usage_of({"usage": {"completion_tokens": 5, "total_tokens": 105}}) == Usage(100, 5)


def test_an_error_beside_choices_is_an_error_of_the_call() -> None:
    """OpenRouter's, in the middle of a stream: https://openrouter.ai/docs/api-reference/errors."""
    broken = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    error = {"code": 502, "message": "Provider disconnected"}

    _, reader = read(
        {"choices": [{**CHOICE, "delta": {"content": "Hel"}}]}, {"id": "gen-1", "error": error, "choices": [broken]}
    )

    assert reader.generated.error is not None
    assert "Provider disconnected" in reader.generated.error.message
    assert reader.generated.texts == ["Hel"]


@pytest.mark.parametrize("error", [None, {}, ""])
def test_no_error_beside_choices_is_none(error: Any) -> None:
    _, reader = read({"error": error, "choices": [{**CHOICE, "delta": {"content": "A"}, "finish_reason": "stop"}]})

    assert reader.generated.error is None
    assert reader.generated.finished
