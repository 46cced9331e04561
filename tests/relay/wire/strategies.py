"""Random requests in the neutral form, valid as a dialect would make them, odd as callers are."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from relay.neutral.request import (
    Chat,
    Embed,
    Embeddings,
    Images,
    Media,
    OutputFormat,
    Part,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)

words = st.text(max_size=20)
names = st.from_regex(r"\A[a-zA-Z0-9_-]{1,12}\Z")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(words, json_values, max_size=3)
schemas = st.one_of(
    st.none(),
    st.just({"type": "object", "properties": {}}),
    st.just({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
    objects,
)
caches = st.none() | st.just({"type": "ephemeral"}) | st.just({"type": "ephemeral", "ttl": "1h"})
base64s = st.sampled_from(["aGk=", "iVBORw0KGgo="])
texts = st.builds(Text, words, caches, st.just("") | words)
media = st.one_of(
    st.builds(
        Media,
        st.sampled_from(["image", "audio", "video", "file"]),
        url=st.sampled_from(["https://example.com/a.png", "http://example.com/b", "gs://bucket/c.mp4"]),
        mime=st.sampled_from(["", "image/png"]),
        detail=st.sampled_from(["", "low", "high"]),
        cache=caches,
    ),
    st.builds(
        Media,
        st.sampled_from(["image", "audio", "video", "file"]),
        data=base64s,
        mime=st.sampled_from(["", "image/png", "image/jpg", "audio/wav", "application/pdf", "text/plain", "x/y"]),
        name=words,
        cache=caches,
    ),
)
thoughts = st.builds(Thought, words, words) | st.builds(Thought, st.just(""), st.just(""), words)
arguments = objects.map(json.dumps) | st.just("") | words | json_values.map(json.dumps)
calls = st.builds(ToolCall, words, names, arguments, st.just("") | words, caches)
contents = st.lists(texts | media, max_size=3)
results = st.builds(ToolResult, words, st.just("") | names, contents, st.booleans(), caches)


def _user() -> st.SearchStrategy[Turn]:
    parts: st.SearchStrategy[list[Part]] = st.lists(st.one_of(texts, media, results), max_size=3)
    return st.builds(Turn, st.just("user"), parts, st.just("") | names)


def _assistant() -> st.SearchStrategy[Turn]:
    parts: st.SearchStrategy[list[Part]] = st.lists(st.one_of(texts, thoughts, calls, media), max_size=4)
    return st.builds(Turn, st.just("assistant"), parts, st.just("") | names)


turns = st.lists(_user() | _assistant(), max_size=6)
tools = st.lists(
    st.builds(Tool, names, words, schemas, st.none() | st.booleans(), caches), max_size=3, unique_by=lambda t: t.name
)
choices = st.one_of(
    st.none(),
    st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"])),
    st.builds(ToolChoice, st.just("named"), names),
)
formats = st.one_of(
    st.none(),
    st.builds(OutputFormat, st.sampled_from(["text", "json"])),
    st.builds(OutputFormat, st.just("schema"), objects, words, words, st.none() | st.booleans()),
)
thinkings = st.none() | st.builds(
    Thinking,
    st.sampled_from(["", "none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    st.none() | st.integers(-1, 200_000),
    st.none() | st.booleans(),
    st.booleans(),
)
fractions = st.none() | st.floats(-2, 2, allow_nan=False)


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    return Chat(
        turns=draw(turns),
        system=draw(st.lists(texts, max_size=2)),
        stream=draw(st.booleans()),
        tools=draw(tools),
        tool_choice=draw(choices),
        parallel_tools=draw(st.none() | st.booleans()),
        max_tokens=draw(st.none() | st.integers(1, 1_000_000)),
        temperature=draw(fractions),
        top_p=draw(fractions),
        top_k=draw(st.none() | st.integers(-1, 500)),
        stop=draw(st.lists(words.filter(bool), max_size=5)),
        n=draw(st.none() | st.integers(1, 4)),
        seed=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        presence_penalty=draw(fractions),
        frequency_penalty=draw(fractions),
        logprobs=draw(st.none() | st.booleans()),
        top_logprobs=draw(st.none() | st.integers(0, 20)),
        output=draw(formats),
        thinking=draw(thinkings),
        user=draw(words),
        extra=draw(objects),
    )


embeddings = st.builds(
    Embeddings,
    st.lists(words | st.lists(st.integers(0, 100_000), min_size=1, max_size=5), min_size=1, max_size=3),
    st.none() | st.integers(1, 4096),
    st.sampled_from(["float", "base64"]),
    st.none() | st.sampled_from(list(Embed)),
    words,
    objects,
)

pictures = st.builds(
    Images,
    words,
    st.integers(1, 10),
    st.sampled_from(["", "1024x1024", "512x512", "auto", "x", "1024", "-1x5"]),
    st.sampled_from(["", "hd", "standard", "high"]),
    st.sampled_from(["", "vivid"]),
    st.sampled_from(["", "url", "b64_json"]),
    words,
    objects,
)


def portions(size: int = 400) -> st.SearchStrategy[list[bytes]]:
    """Random bytes as an upstream might send them, in random chunks: JSON, event-stream lines and plain rubbish."""
    line = st.one_of(
        json_values.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n"),
        json_values.map(lambda value: json.dumps(value).encode() + b"\n"),
        st.sampled_from(
            [b"data: [DONE]\n\n", b"event: error\n", b": comment\n", b"data:\n\n", b"\r\n\r\n", b"data: {\n\n"]
        ),
        st.binary(max_size=size // 8),
    )
    return st.lists(line, max_size=8)
