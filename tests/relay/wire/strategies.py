"""Random requests: in the neutral form, as odd as a dialect lets callers be, and in the JSON of OpenAI's clients."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from relay.neutral.request import (
    Chat,
    Embed,
    Embeddings,
    Images,
    Media,
    OutputFormat,
    Part,
    Rerank,
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


rankings = st.builds(
    Rerank, words, st.lists(words, min_size=1, max_size=3), st.none() | st.integers(1, 3), st.booleans()
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


# Requests as OpenAI's clients send them, as JSON documents of the published API:
# https://platform.openai.com/docs/api-reference/chat/create, .../embeddings/create, .../images/create.

_PNG = "data:image/png;base64,iVBORw0KGgo="
_said = st.text(min_size=1, max_size=20)
_content_parts = st.one_of(
    _said.map(lambda said: {"type": "text", "text": said}),
    st.builds(
        lambda url, detail: {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})},
        st.sampled_from([_PNG, "https://example.com/a.png", "http://example.com/b.jpg"]),
        st.sampled_from(["", "low", "high", "auto"]),
    ),
    st.sampled_from(["wav", "mp3"]).map(
        lambda form: {"type": "input_audio", "input_audio": {"data": "aGk=", "format": form}}
    ),
    st.just(
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ),
)
_user_messages = st.builds(
    lambda content, name: {"role": "user", "content": content} | ({"name": name} if name else {}),
    _said | st.lists(_content_parts, min_size=1, max_size=3),
    st.just("") | names,
)
_system_messages = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["system", "developer"]),
    _said | _said.map(lambda said: [{"type": "text", "text": said}]),
)
_answers = st.builds(
    lambda content, refusal: {"role": "assistant", "content": content} | ({"refusal": refusal} if refusal else {}),
    _said,
    st.just("") | words,
)


@st.composite
def _rounds_of_tools(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The model's calls, and the result of each."""
    called = draw(st.lists(st.tuples(names, objects.map(json.dumps)), min_size=1, max_size=3))
    tool_calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": given}}
        for index, (name, given) in enumerate(called)
    ]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(words | objects.map(json.dumps))}
        for call in tool_calls
    ]
    content = draw(st.none() | _said)
    return [{"role": "assistant", "content": content, "tool_calls": tool_calls}, *results]


def _tool(name: str, described: str, schema: dict[str, Any] | None, strict: bool | None) -> dict[str, Any]:
    function = {"name": name, "description": described, "parameters": schema, "strict": strict}
    given = {member: value for member, value in function.items() if value is not None}
    return {"type": "function", "function": given}


def _name_of(tool: dict[str, Any]) -> str:
    return str(tool["function"]["name"])


_tools_of_openai = st.lists(
    st.builds(_tool, names, words, schemas, st.none() | st.booleans()), min_size=1, max_size=3, unique_by=_name_of
)
_MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "stream": st.booleans(),
    "stream_options": st.just({"include_usage": True}),
    "max_tokens": st.integers(1, 100_000),
    "max_completion_tokens": st.integers(1, 100_000),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "n": st.integers(1, 4),
    "stop": _said | st.lists(_said, min_size=1, max_size=4),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "presence_penalty": st.floats(-2, 2),
    "frequency_penalty": st.floats(-2, 2),
    "logprobs": st.booleans(),
    "top_logprobs": st.integers(0, 20),
    "logit_bias": st.dictionaries(st.integers(0, 100_000).map(str), st.integers(-100, 100), max_size=3),
    "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}])
    | st.builds(
        lambda name, schema: {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}},
        names,
        schemas.filter(bool),
    ),
    "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"]),
    "parallel_tool_calls": st.booleans(),
    "service_tier": st.sampled_from(["auto", "default", "flex"]),
    "metadata": st.dictionaries(names, words, max_size=2),
    "store": st.booleans(),
    "user": words,
}


@st.composite
def chat_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Valid bodies of `/v1/chat/completions`, but for the model."""
    opening = draw(st.lists(_system_messages, max_size=2))
    messages = [*opening, draw(_user_messages)]
    for further in draw(st.lists(_user_messages | _answers | _rounds_of_tools(), max_size=4)):
        messages += further if isinstance(further, list) else [further]
    document = {"messages": messages, **draw(st.fixed_dictionaries({}, optional=_MEMBERS))}
    if draw(st.booleans()):
        offered = document["tools"] = draw(_tools_of_openai)
        named = {"type": "function", "function": {"name": _name_of(offered[0])}}
        choice = draw(st.sampled_from([None, "auto", "none", "required", named]))
        document |= {"tool_choice": choice} if choice else {}
    return document


embeddings_documents = st.fixed_dictionaries(
    {
        "input": st.one_of(
            _said,
            st.lists(_said, min_size=1, max_size=3),
            st.lists(st.integers(0, 100_000), min_size=1, max_size=4),
            st.lists(st.lists(st.integers(0, 100_000), min_size=1, max_size=4), min_size=1, max_size=2),
        )
    },
    optional={
        "dimensions": st.integers(1, 4096),
        "encoding_format": st.sampled_from(["float", "base64"]),
        "user": words,
    },
)
images_documents = st.fixed_dictionaries(
    {"prompt": _said},
    optional={
        "n": st.integers(1, 4),
        "size": st.sampled_from(["256x256", "512x512", "1024x1024", "1792x1024"]),
        "quality": st.sampled_from(["standard", "hd", "low", "high", "auto"]),
        "style": st.sampled_from(["vivid", "natural"]),
        "response_format": st.sampled_from(["url", "b64_json"]),
        "user": words,
    },
)
