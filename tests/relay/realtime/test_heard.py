"""What the events of a session tell of tokens: exactly at a response's end, roughly until then."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.usage import Usage
from relay.adapters.openai.channels import adapter_for
from relay.realtime.heard import Heard, Transcript, read_usage
from tests.relay.realtime.speaker import SECOND
from tests.relay.wire import cases

CREATED = {"type": "response.created", "response": {"id": "r1"}}


def hear(heard: Heard, *events: Any) -> Usage | None:
    """The usage that the last one tells."""
    told = None
    for event in events:
        told = heard.hear(orjson.dumps(event))
    assert not isinstance(told, Transcript)
    return told


def sound(letters: int, kind: str = "response.output_audio.delta") -> Any:
    return {"type": kind, "response_id": "r1", "delta": "A" * letters}


def done(usage: Any = None, **more: Any) -> Any:
    return {"type": "response.done", "response": {"id": "r1", "usage": usage, **more}}


def test_nothing_is_under_way_before_a_response_begins_and_after_it_ended() -> None:
    heard = Heard("s")
    assert heard.so_far() is None
    hear(heard, CREATED, sound(SECOND))
    assert heard.so_far() is not None
    hear(heard, done({"input_tokens": 1, "output_tokens": 1}))
    assert heard.so_far() is None


@pytest.mark.parametrize(
    ("session", "letters"),
    [
        ({}, SECOND),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}}}}, SECOND),
        ({"audio": {"output": {"format": {"type": "audio/pcmu"}}}}, SECOND // 6),
        ({"output_audio_format": "pcm16"}, SECOND),
        ({"output_audio_format": "g711_alaw"}, SECOND // 6),
    ],
)
def test_a_second_of_sound_is_twenty_tokens_in_each_form(session: Any, letters: int) -> None:
    heard = Heard("s")
    hear(heard, {"type": "session.updated", "session": session}, CREATED, sound(letters), sound(letters))

    usage = heard.so_far()
    assert usage is not None
    assert abs(usage.audio_completion_tokens - 40) <= 1
    assert usage.completion_tokens == usage.audio_completion_tokens


def test_the_beta_s_names_and_words_beside_the_sound() -> None:
    heard = Heard("s")
    words = {"type": "response.audio_transcript.delta", "response_id": "r1", "delta": "x" * 100}
    hear(heard, CREATED, sound(SECOND, "response.audio.delta"), words)

    usage = heard.so_far()
    assert usage is not None
    assert (usage.audio_completion_tokens, usage.completion_tokens) == (20, 20 + 38)


def test_a_transcript_of_the_caller_s_own_words_is_no_answer() -> None:
    heard = Heard("s")
    hear(heard, {"type": "conversation.item.input_audio_transcription.delta", "item_id": "i", "delta": "words"})

    assert heard.so_far() is None


def test_what_the_caller_feeds_is_in_the_next_prompt_until_a_response_has_counted_it() -> None:
    heard = Heard("s")
    heard.say(orjson.dumps({"type": "input_audio_buffer.append", "audio": "A" * 10 * SECOND}))
    parts = [{"type": "input_text", "text": "x" * 100}, {"type": "input_image", "image_url": "data:" + "A" * 10**6}]
    heard.say(orjson.dumps({"type": "conversation.item.create", "item": {"content": parts}}))
    hear(heard, CREATED)
    before = heard.so_far()
    hear(heard, done({"input_tokens": 500, "output_tokens": 70}), CREATED)
    after = heard.so_far()

    assert before is not None
    assert after is not None
    assert (before.audio_prompt_tokens, before.image_prompt_tokens, before.prompt_tokens) == (
        100,
        1105,
        100 + 1105 + 38,
    )
    assert (after.prompt_tokens, after.cached_tokens, after.audio_prompt_tokens) == (570, 570, 0)


def test_sound_that_is_taken_back_is_not_in_the_prompt() -> None:
    heard = Heard("s")
    heard.say(orjson.dumps({"type": "input_audio_buffer.append", "audio": "A" * SECOND}))
    heard.say(orjson.dumps({"type": "input_audio_buffer.clear"}))
    hear(heard, CREATED)

    usage = heard.so_far()
    assert usage is not None
    assert usage.prompt_tokens == 0


def test_a_response_beside_the_conversation_leaves_it_as_it_was() -> None:
    heard = Heard("s")
    hear(heard, CREATED, done({"input_tokens": 500, "output_tokens": 70}, conversation_id=None), CREATED)

    usage = heard.so_far()
    assert usage is not None
    assert usage.prompt_tokens == 0


@pytest.mark.parametrize(
    ("session", "model"),
    [
        ({}, "whisper-1"),
        ({"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}, "gpt-4o-transcribe"),
        ({"input_audio_transcription": {"model": "gpt-4o-mini-transcribe"}}, "gpt-4o-mini-transcribe"),
    ],
)
def test_a_transcript_is_its_model_s_and_not_the_session_s(session: Any, model: str) -> None:
    heard = Heard("s")
    hear(heard, {"type": "session.updated", "session": session})
    completed = {"type": "conversation.item.input_audio_transcription.completed", "transcript": "Hello there"}

    assert heard.hear(orjson.dumps(completed)) == Transcript(model, "Hello there")
    assert heard.hear(orjson.dumps({**completed, "transcript": ""})) is None


def test_cached_sound_is_cached_and_not_sound() -> None:
    details = {"audio_tokens": 700, "image_tokens": 50, "cached_tokens": 400}
    known = {"cached_tokens_details": {"text_tokens": 90, "audio_tokens": 300, "image_tokens": 10}}
    usage = {"input_tokens": 1000, "output_tokens": 0, "input_token_details": {**details, **known}}

    assert read_usage(usage) == Usage(1000, 0, cached_tokens=400, audio_prompt_tokens=400, image_prompt_tokens=40)


def test_usage_that_cannot_be_true_is_brought_down() -> None:
    heard = Heard("s")
    usage = hear(heard, CREATED, done({"input_tokens": 10**12, "output_tokens": 10**12}))

    assert usage is not None
    assert usage.prompt_tokens <= 8_000_000
    assert usage.completion_tokens <= 524_288


@given(st.binary(max_size=200), st.text(max_size=200))
def test_whatever_comes_tells_nothing_and_breaks_nothing(raw: bytes, said: str) -> None:
    heard = Heard("s")
    for message in (raw, said):
        heard.say(message)
        heard.hear(message)

    assert heard.so_far() is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "usage", "input_tokens", "output_tokens", "input_token_details", "cached_tokens_details",
         "audio_tokens", "audio", "input", "format", "type", "content", "text"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
KINDS = ["response.created", "response.done", "session.updated", "response.text.delta", "conversation.item.create"]


@given(st.lists(st.tuples(st.sampled_from(KINDS), JSON, JSON), max_size=6))
def test_events_of_any_shape_break_nothing_and_cost_nothing_below_zero(drawn: list[tuple[str, Any, Any]]) -> None:
    heard = Heard("s")
    for kind, one, other in drawn:
        event = {"type": kind, "response": one, "session": one, "item": one, "delta": other, "response_id": other}
        try:
            message = orjson.dumps(event)
        except (TypeError, orjson.JSONEncodeError):
            continue  # numbers that are no JSON
        heard.say(message)
        for usage in (heard.hear(message), heard.so_far()):
            assert not isinstance(usage, Transcript)
            assert usage is None or (usage.prompt_tokens >= 0 and usage.completion_tokens >= 0)


@pytest.mark.parametrize(
    ("kind", "version", "url"),
    [
        (1, "", "https://res.example/v1/realtime?model=gpt-realtime-1.5"),
        (3, "2024-10-21", "https://res.example/openai/v1/realtime?model=gpt-realtime-1.5"),
        (3, "v1", "https://res.example/openai/v1/realtime?model=gpt-realtime-1.5"),
        (3, "preview", "https://res.example/openai/v1/realtime?model=gpt-realtime-1.5&api-version=preview"),
        (
            3,
            "2025-04-01-preview",
            "https://res.example/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime-15",
        ),
    ],
)
def test_the_address_of_a_session(kind: int, version: str, url: str) -> None:
    route = cases.route(kind, config={"api_version": version}, base_url="https://res.example")

    assert adapter_for(route).realtime_url(route, "gpt-realtime-1.5") == url
