"""Hypothesis over everything that reads what others sent. FUZZ_EXAMPLES=100000 looks for longer, and elsewhere."""

from __future__ import annotations

import os
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def bounded(examples: int) -> settings:
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def words(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(text.split())


ODD = st.one_of(
    st.sampled_from([None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, 1e308, -0.0, 0.5]),
    st.sampled_from(["", " ", "\0", "\ud7ff", "😀", "a\r\nb", "data:image/png;base64,!", "data:,", "file:///etc"]),
    words("text image_url https://x user assistant tool system function auto none json_schema string m/../x"),
    st.builds(list),
    st.builds(dict),
    st.builds(lambda: [[]]),
    st.builds(lambda: [None]),
    st.builds(lambda: {"type": None}),
    st.builds(lambda: {"": 0}),
)
MEMBERS = words(
    """messages role content text type image_url url tools function name parameters tool_choice tool_calls id arguments
    max_tokens max_completion_tokens max_output_tokens n best_of stream stream_options include_usage stop input prompt
    instructions system model parts inlineData fileData functionCall functionResponse contents generationConfig
    maxOutputTokens candidateCount systemInstruction source data media_type thinking budget_tokens documents query top_n
    input_schema tool_use_id is_error response_format json_schema schema strict reasoning effort modalities audio
    metadata previous_response_id store size quality input_audio file file_data output call_id encrypted_content"""
)
ANYTHING = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4), max_leaves=8
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    keys: list[Any] = []
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [place for key in keys for place in [(value, key), *places(value[key])]]


@st.composite
def bent(draw: st.DrawFn, plain: dict[str, Any]) -> bytes:
    """A plain document with other values, members more and members less in some places."""
    document = orjson.loads(orjson.dumps({"model": "m", **plain}))
    for _ in range(draw(st.integers(1, 4))):
        found = places(document)
        if not found or draw(st.booleans()):
            document[draw(MEMBERS)] = draw(ANYTHING)
            continue
        holder, key = draw(st.sampled_from(found))
        if isinstance(holder, dict) and draw(st.booleans()):
            holder[draw(MEMBERS)] = draw(ANYTHING)
        else:
            holder[key] = draw(ANYTHING)
    return orjson.dumps(document)


@pytest.mark.parametrize(("path", "plain"), targets.ASKED, ids=[path for path, _ in targets.ASKED])
@bounded(25)
@given(data=st.data())
def test_any_request_is_sent_on_or_refused(path: str, plain: dict[str, Any], data: st.DataObject) -> None:
    body = data.draw(bent(plain))
    targets.any_request(path, body, data.draw(st.sampled_from(targets.PROTOCOLS)))


LINES = [b"data: ", b"data:", b"data", b"event: x", b"id", b":", b"\r", b"\n", b"\r\n", b"\n\n", b"[DONE]", b"{}"]
PIECES = st.sampled_from([*LINES, b"\xef\xbb\xbf", b"\xff"]) | st.binary(max_size=6)
STREAMS = st.lists(PIECES, max_size=30).map(b"".join)


@bounded(80)
@given(STREAMS, st.integers(1, 7))
def test_any_event_stream(data: bytes, size: int) -> None:
    targets.any_event_stream(data, size)


NAMED = b'Content-Disposition: form-data; name="model"'
PARTS = [
    b"--B",
    b"--B--",
    b"\r\n",
    b"\r\n\r\n",
    b"--",
    NAMED,
    b'; filename="x"',
    b"; name*=a",
    b'; name="b"',
    b"gpt",
    b'"',
]
FORMS = st.lists(st.sampled_from([*PARTS, b"\\", b"\n", b"\0"]) | st.binary(max_size=5), max_size=25).map(b"".join)


@bounded(120)
@given(FORMS)
def test_any_form(body: bytes) -> None:
    targets.any_form(body)


MARKS = [b"{", b"}", b"[", b"]", b",", b":", b" ", b"1e5", b"-0", b"null", b'"', b"\\", b"\xff", b'{"model":"a"']
TEXTS = [b'"model"', b'"mod\\u0065l"', b'"a"', b'"\\ud83d\\ude00"', b'"\\\\"', b'"\\""', "é".encode()]
OBJECTS = st.lists(st.sampled_from([*MARKS, *TEXTS]), max_size=14).map(b"".join)


@bounded(150)
@given(OBJECTS)
def test_any_object(body: bytes) -> None:
    targets.any_object(body)


@bounded(80)
@given(st.dictionaries(st.text(max_size=4), ANYTHING, max_size=5), st.booleans())
def test_any_object_that_is_json(document: dict[str, Any], indented: bool) -> None:
    targets.any_object(orjson.dumps(document, option=orjson.OPT_INDENT_2 if indented else 0))


USAGE = words(
    """usage prompt_tokens completion_tokens total_tokens input_tokens output_tokens prompt_tokens_details cached_tokens
    completion_tokens_details audio_tokens reasoning_tokens choices delta message content error data"""
)
NUMBERS = st.sampled_from([0, -1, 5, 10**9, 10**18, -(10**18), 1e300, -1e300, 0.5, "7", None, True])
NESTED = st.recursive(
    NUMBERS, lambda inner: st.dictionaries(USAGE, inner, max_size=5) | st.lists(inner, max_size=2), max_leaves=8
)
ANSWERS = st.dictionaries(USAGE, NESTED, max_size=6)


@bounded(40)
@given(st.lists(ANSWERS | NUMBERS, max_size=4))
def test_usage_is_never_negative(documents: list[Any]) -> None:
    for document in documents:
        targets.any_answer_untouched(orjson.dumps(document))
    targets.any_events_untouched(b"".join(b"data: %b\n\n" % orjson.dumps(document) for document in documents))


@pytest.mark.parametrize("protocol", targets.PROTOCOLS)
@bounded(8)
@given(ANSWERS, st.sampled_from([b"data: %b\n\n", b"%b\n", b"event: message\ndata: %b\n\n", b"[%b]"]))
def test_usage_of_other_protocols_is_never_negative(protocol: str, document: dict[str, Any], form: bytes) -> None:
    targets.any_answer(protocol, orjson.dumps(document))
    targets.any_stream(protocol, form % orjson.dumps(document))
