"""Ollama: https://docs.ollama.com/api/chat, https://docs.ollama.com/api/errors."""

from __future__ import annotations

import orjson
import pytest

from relay.adapters.base import Job
from relay.adapters.ollama import Ollama
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Counted, Failed, Finished, FinishReason, Logprobs, TextPiece, fold
from relay.neutral.request import (
    Chat,
    Embeddings,
    Json,
    Media,
    OutputFormat,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.relay.wire.cases import FakeOutside, check, load, names, route

ADAPTER = Ollama()
HELLO = [Turn("user", [Text("Hi")])]
DONE = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}


def job(request, key="key-EXAMPLE"):
    return Job(route(30, key), "qwen3:8b", "qwen3:8b", request)


async def sent(request) -> Json:
    document: Json = orjson.loads((await ADAPTER.prepare(job(request), FakeOutside(load("ollama_chat")))).body)
    return document


@pytest.mark.parametrize("name", names("ollama_"))
async def test_keeps_to_the_wire_case(name):
    await check(load(name), ADAPTER)


async def test_a_server_without_a_key_gets_no_authorization():
    outgoing = await ADAPTER.prepare(job(Chat(HELLO), key=""), FakeOutside(load("ollama_chat")))

    assert "Authorization" not in dict(outgoing.headers)


@pytest.mark.parametrize(
    ("thinking", "think"),
    [
        (Thinking("none"), False),
        (Thinking(budget=0), False),
        (Thinking("minimal"), "low"),
        (Thinking("high"), "high"),
        (Thinking("xhigh"), "high"),
        (Thinking("max"), "max"),
        (Thinking(budget=4000), True),
        (Thinking(adaptive=True), True),
        (Thinking(), None),
    ],
)
async def test_thinking_is_asked_for_in_the_words_of_the_upstream(thinking, think):
    assert (await sent(Chat(HELLO, thinking=thinking))).get("think") == think


async def test_the_callers_own_options_stand_beside_the_usual_parameters_and_below_them():
    chat = Chat(HELLO, max_tokens=9, extra={"options": {"num_predict": 5000, "mirostat": 1}, "keep_alive": "5m"})

    body = await sent(chat)

    assert body["options"] == {"num_predict": 9, "mirostat": 1}
    assert body["keep_alive"] == "5m"


@pytest.mark.parametrize(
    ("output", "form"),
    [
        (OutputFormat("json"), "json"),
        (OutputFormat("schema", {"type": "object", "required": ["a"]}), {"type": "object", "required": ["a"]}),
        (OutputFormat("text"), None),
    ],
)
async def test_structured_output_becomes_the_format(output, form):
    assert (await sent(Chat(HELLO, output=output))).get("format") == form


async def test_a_choice_of_tools_is_kept_by_leaving_the_others_out():
    tools = [Tool("a"), Tool("b")]

    assert "tools" not in await sent(Chat(HELLO, tools=tools, tool_choice=ToolChoice("none")))
    named = await sent(Chat(HELLO, tools=tools, tool_choice=ToolChoice("named", "b")))
    assert [tool["function"]["name"] for tool in named["tools"]] == ["b"]


async def test_results_of_tools_become_messages_of_their_own_before_what_else_the_turn_says():
    call = ToolCall("call_1", "look", "not JSON")
    turns = [
        Turn("assistant", [Thought("hm"), call]),
        Turn("user", [Text("and?"), ToolResult("call_1", "look", [Text("4"), Text("2")])]),
    ]

    assert (await sent(Chat(turns)))["messages"] == [
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "call_1", "function": {"name": "look", "arguments": {"arguments": "not JSON"}}}],
        },
        {"role": "tool", "content": "42", "tool_call_id": "call_1", "tool_name": "look"},
        {"role": "user", "content": "and?"},
    ]


@pytest.mark.parametrize(
    "request_",
    [
        Chat([Turn("user", [Media("audio", data="aGk=", mime="audio/wav")])]),
        Chat([Turn("user", [Media("image", url="https://example.com/a.png")])]),  # nobody fetched it
        Chat(HELLO, n=2),
        Embeddings([[1, 2, 3]]),
    ],
)
async def test_what_the_upstream_cannot_do_is_refused_before_any_call(request_):
    with pytest.raises(BadRequest):
        await sent(request_)


def read(answer: Json):
    return ADAPTER.read(job(Chat(HELLO)), orjson.dumps(answer))


def test_a_prompt_without_a_count_leaves_the_counting_to_us():
    """A cached prompt comes without its count: half a report would make the other half free."""
    events = read({**DONE, "message": {"role": "assistant", "content": "Hey"}, "eval_count": 3})

    assert not any(isinstance(event, Counted) for event in events)
    assert fold(events).choices[0].text == "Hey"


def test_calls_outweigh_a_usual_end_and_not_an_early_one():
    message = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "a", "arguments": {}}}]}

    assert fold(read({**DONE, "message": message})).choices[0].finish is FinishReason.TOOL_CALLS
    cut = read({**DONE, "message": message, "done_reason": "length"})
    assert fold(cut).choices[0].finish is FinishReason.LENGTH
    assert fold(cut).choices[0].calls[0].arguments == "{}"
    assert fold(cut).choices[0].calls[0].id.startswith("call_")


@pytest.mark.parametrize(
    ("given", "arguments"), [('{"a":1}', '{"a":1}'), ({"a": 1}, '{"a":1}'), ([1], "{}"), (None, "{}")]
)
def test_arguments_are_read_in_whatever_form_a_server_sends_them(given, arguments):
    message = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "a", "arguments": given}}]}

    assert fold(read({**DONE, "message": message})).choices[0].calls[0].arguments == arguments


def test_log_probabilities_are_passed_on():
    entry = {"token": "Hi", "logprob": -0.1, "top_logprobs": []}

    assert Logprobs([entry]) in read({**DONE, "logprobs": [entry]})


@pytest.mark.parametrize("answer", [{}, {"message": "no"}, {"error": "no memory"}, {"error": {"message": "gone"}}])
def test_an_answer_without_a_message_is_an_error(answer):
    with pytest.raises(UpstreamError):
        read(answer)


def test_an_error_in_a_stream_ends_it_with_the_upstreams_words():
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))

    events = reader.feed(b'{"message":{"content":"He"},"done":false}\n{"error":"out of memory"}\n') + reader.close()

    assert events[-2] == TextPiece("He")
    assert isinstance(events[-1], Failed)
    assert events[-1].error.message == "out of memory"


def test_a_stream_that_breaks_off_is_not_called_whole():
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))
    reader.feed(b'{"message":{"content":"He"},"done":false}\n')

    last = reader.close()[-1]

    assert isinstance(last, Failed)
    assert last.error.code == "stream_broken"


def test_the_last_record_needs_no_line_end():
    reader = ADAPTER.reader(job(Chat(HELLO, stream=True)))
    reader.feed(orjson.dumps({**DONE, "prompt_eval_count": 4, "eval_count": 2}))

    events = reader.close()

    assert Finished(FinishReason.STOP) in events
    assert [event.usage.prompt_tokens for event in events if isinstance(event, Counted)] == [4]


def test_an_error_that_is_a_bare_text_reaches_the_caller():
    error = ADAPTER.failure(404, b'{"error":"model \'x\' not found"}', None)

    assert (error.status, error.message, error.code) == (404, "model 'x' not found", "ollama_error")
