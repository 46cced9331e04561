"""What is read out of the events of a stream: the short way for pieces of text counts as the long one does."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.reading import StreamReader

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
