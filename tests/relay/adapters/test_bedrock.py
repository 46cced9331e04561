"""Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html."""

from __future__ import annotations

import datetime as dt

import botocore.auth
import orjson
import pytest

from relay.adapters.base import Job, Outgoing
from relay.adapters.bedrock.adapter import Bedrock
from relay.adapters.bedrock.signing import access, endpoint
from relay.errors import BadRequest, UpstreamError
from relay.neutral.request import (
    Chat,
    Json,
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
from tests.relay.wire.cases import FakeOutside, check, job_of, load, names, route, route_of

ADAPTER = Bedrock()
HELLO = [Turn("user", [Text("Hi")])]
CONFIG = {"region": "us-east-1", "ak": "AKIDEXAMPLE", "sk": "SECRET"}
HAIKU = "anthropic.claude-3-haiku-20240307-v1:0"
SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"  # budgets, schemas
OPUS = "global.anthropic.claude-opus-4-7"  # adaptive thinking, no sampling
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
NOVA = "amazon.nova-2-lite-v1:0"
SHORT, LONG = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}


def job(request, model=HAIKU, asked="", headers=None, **channel):
    return Job(route(33, channel.pop("key", ""), {**CONFIG, **channel}), model, asked or model, request, headers or {})


async def outgoing(request, model=HAIKU, **rest) -> Outgoing:
    return await ADAPTER.prepare(job(request, model, **rest), FakeOutside(load("bedrock_converse_chat")))


async def sent(request, model=HAIKU, **rest) -> Json:
    document: Json = orjson.loads((await outgoing(request, model, **rest)).body)
    return document


@pytest.mark.parametrize("name", names("bedrock_converse_"))
async def test_keeps_to_the_wire_case(name):
    await check(load(name), ADAPTER)


@pytest.fixture
def half_past_ten(monkeypatch):
    moment = dt.datetime(2025, 2, 19, 10, 30, tzinfo=dt.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moment.replace(tzinfo=None))


@pytest.mark.parametrize("name", names("bedrock_"))
def test_signs_as_the_documentation_says(name, half_past_ten):
    """Vectors over exact bytes with a fixed clock; the model's colon is encoded once more in what is signed."""
    case = load(name)
    vector, request = case["signing"], case["upstream_request"]
    headers = [(header, request["headers"][header]) for header in ("Content-Type", "Accept")]

    signed = access(route_of(case)).authorised(Outgoing("POST", request["url"], headers, vector["body_raw"].encode()))

    assert dict(signed.headers)["Authorization"] == vector["authorization"]
    assert dict(signed.headers)["X-Amz-Date"] == vector["amz_date"]
    assert signed.body == vector["body_raw"].encode()


@pytest.mark.parametrize("name", names("bedrock_"))
async def test_a_whole_call_has_the_signature_of_the_documentation(name, half_past_ten):
    """Byte for byte: a signature is over every byte of address, headers and body."""
    case = load(name)
    config = {**case["config"], "api_version": "invoke" if "invoke" in name else ""}
    case = case.but(config=config)

    asked = await ADAPTER.prepare(job_of(case), FakeOutside(case))

    assert asked.body == case["signing"]["body_raw"].encode()
    assert dict(asked.headers)["Authorization"] == case["signing"]["authorization"]


async def test_a_session_token_is_sent_and_signed():
    key = "AKIDTEMP|SECRET|eu-west-1|TOKEN=="

    headers = dict((await outgoing(Chat(HELLO), key=key, ak="", sk="", region="")).headers)

    assert headers["X-Amz-Security-Token"] == "TOKEN=="
    assert "x-amz-security-token" in headers["Authorization"]
    assert "AKIDTEMP/" in headers["Authorization"]
    assert "/eu-west-1/" in headers["Authorization"]


async def test_a_token_does_not_travel_with_another_pair():
    headers = dict((await outgoing(Chat(HELLO), key="AKIDTEMP|SECRET|eu-west-1|TOKEN")).headers)

    assert "X-Amz-Security-Token" not in headers


async def test_without_a_secret_the_key_is_one_of_bedrock_itself():
    headers = dict((await outgoing(Chat(HELLO), ak="bedrock-api-key", sk="")).headers)

    assert headers["Authorization"] == "Bearer bedrock-api-key"
    assert "X-Amz-Date" not in headers


@pytest.mark.parametrize("channel", [{"region": ""}, {"region": "evil.example/"}, {"ak": "", "sk": ""}])
async def test_a_channel_without_key_or_region_calls_nobody(channel):
    with pytest.raises(UpstreamError) as caught:
        await outgoing(Chat(HELLO), **channel)
    assert caught.value.code == "channel_misconfigured"


@pytest.mark.parametrize(
    ("config", "region", "address"),
    [
        ({}, "eu-central-1", "https://bedrock-runtime.eu-central-1.amazonaws.com"),
        ({}, "cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ({"base_url": "https://vpce-1.example/"}, "eu-west-1", "https://vpce-1.example"),
    ],
)
def test_calls_the_region_unless_the_channel_has_an_address(config, region, address):
    assert endpoint(route(33, config=config), region) == address


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("claude-3-5-sonnet-latest", "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse"),
        ("llama3-8b-8192", "/model/meta.llama3-8b-instruct-v1%3A0/converse"),
        (SONNET, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse",
        ),
    ],
)
async def test_a_model_is_named_as_the_contract_or_as_bedrock_does(model, path):
    assert (await outgoing(Chat(HELLO), model)).url == "https://bedrock-runtime.us-east-1.amazonaws.com" + path
    assert (await outgoing(Chat(HELLO, stream=True), model)).url.endswith(path + "-stream")


async def test_turns_alternate_whatever_came_and_empty_ones_are_left_out():
    turns = [
        Turn("user", [Text("a")]),
        Turn("assistant", [Text("  "), Thought("unsigned")]),
        Turn("user", [Text("b"), ToolResult("t", "look", [Text("4"), Text("")])]),
        Turn("assistant", [Text("c")]),
    ]

    assert (await sent(Chat(turns)))["messages"] == [
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "4"}]}}, {"text": "a"}, {"text": "b"}],
        },
        {"role": "assistant", "content": [{"text": "c"}]},
    ]


@pytest.mark.parametrize("cache", [None, SHORT])
async def test_an_answer_that_is_gone_on_with_does_not_end_in_white_space(cache):
    """Else: "messages: final assistant content cannot end with trailing whitespace".

    https://github.com/langchain-ai/langchain-aws/pull/599
    """
    turns = [Turn("user", [Text("x ")]), Turn("assistant", [Text("a "), Text("Answer: \n", cache=cache)])]

    user, assistant = (await sent(Chat(turns), SONNET))["messages"]

    assert [block["text"] for block in assistant["content"] if "text" in block] == ["a ", "Answer:"]
    assert user["content"] == [{"text": "x "}]
    later = (await sent(Chat([*turns, Turn("user", [Text("y")])]), SONNET))["messages"]
    assert later[1]["content"][1] == {"text": "Answer: \n"}


async def test_marks_of_caching_become_cache_points_for_models_that_have_them():
    chat = Chat(
        [Turn("user", [Text("a", cache=SHORT), Text("b")])],
        system=[Text("s", cache=LONG)],
        tools=[Tool("t", cache=SHORT)],
    )

    body = await sent(chat)
    assert body["messages"][0]["content"] == [{"text": "a"}, {"cachePoint": {"type": "default"}}, {"text": "b"}]
    assert body["system"] == [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}

    assert b"cachePoint" not in (await outgoing(chat, LLAMA)).body
    arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"
    assert b"cachePoint" in (await outgoing(chat, arn, asked="claude-sonnet-4-5")).body


async def test_signed_thoughts_go_back_to_the_models_that_signed_them():
    turns = [*HELLO, Turn("assistant", [Thought("hm", "sig"), Thought(redacted="cmVk"), Text("a")])]

    assert (await sent(Chat(turns)))["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "cmVk"}},
        {"text": "a"},
    ]
    assert (await sent(Chat(turns), LLAMA))["messages"][1]["content"] == [{"text": "a"}]


async def test_images_documents_video_and_sound_have_blocks_of_their_own():
    media: list[Part] = [
        Media("image", data="aGk=", mime="image/jpg"),
        Media("file", data="aGk=", mime="application/pdf", name="Q3_report.final.pdf"),
        Media("file", data="aGk=", mime="text/x-python", name="Q3 report final.py"),
        Media("file", data="aGk=", name="table.xlsx"),
        Media("video", data="aGk=", mime="video/mp4"),
        Media("audio", data="aGk=", mime="audio/mpeg"),
    ]
    source = {"bytes": "aGk="}

    assert (await sent(Chat([Turn("user", media)])))["messages"][0]["content"] == [
        {"image": {"format": "jpeg", "source": source}},
        {"document": {"format": "pdf", "source": source, "name": "Q3 report final"}},
        {"document": {"format": "txt", "source": source, "name": "Q3 report final 2"}},  # names may not repeat
        {"document": {"format": "xlsx", "source": source, "name": "table"}},
        {"video": {"format": "mp4", "source": source}},
        {"audio": {"format": "mp3", "source": source}},
    ]


async def test_ids_that_bedrock_refuses_are_replaced_alike_in_call_and_result():
    odd = "call|" + "x" * 80
    turns = [
        *HELLO,
        Turn("assistant", [ToolCall(odd, "t", "[1]")]),
        Turn("user", [ToolResult(odd, "t", [], failed=True)]),
    ]

    messages = (await sent(Chat(turns)))["messages"]
    call, result = messages[1]["content"][0]["toolUse"], messages[2]["content"][0]["toolResult"]

    assert call["toolUseId"] == result["toolUseId"]
    assert len(call["toolUseId"]) <= 64
    assert call["toolUseId"].isidentifier()
    assert call["input"] == {"arguments": "[1]"}
    assert result["status"] == "error"


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, None),
        (ToolChoice("auto"), {"auto": {}}),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("named", "t"), {"tool": {"name": "t"}}),
    ],
)
async def test_a_choice_of_tools_is_said_in_bedrocks_words(choice, said):
    config = (await sent(Chat(HELLO, tools=[Tool("t", parameters={"properties": {}})], tool_choice=choice)))[
        "toolConfig"
    ]

    assert config.get("toolChoice") == said
    assert config["tools"] == [
        {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
    ]


async def test_tools_are_left_out_for_the_choice_of_none_but_never_under_a_history_of_calls():
    called = [*HELLO, Turn("assistant", [ToolCall("c", "t", "{}")]), Turn("user", [ToolResult("c", "t", [])])]
    none = ToolChoice("none")

    assert "toolConfig" not in await sent(Chat(HELLO, tools=[Tool("t")], tool_choice=none))
    kept = await sent(Chat(called, tools=[Tool("t")], tool_choice=none))
    assert "toolChoice" not in kept["toolConfig"]
    made = await sent(Chat(called))  # the caller has taken its tools away
    assert made["toolConfig"]["tools"][0]["toolSpec"]["name"] == "t"


async def test_sampling_is_cut_to_what_the_model_takes():
    chat = Chat(HELLO, temperature=1.7, top_p=0.5, top_k=40)

    assert (await sent(chat, LLAMA))["inferenceConfig"] == {"temperature": 1, "topP": 0.5}
    assert "additionalModelRequestFields" not in await sent(chat, LLAMA)
    assert (await sent(chat))["additionalModelRequestFields"] == {"top_k": 40}
    assert (await sent(chat, SONNET))["inferenceConfig"] == {"temperature": 1}  # one of the two
    assert "inferenceConfig" not in await sent(chat, OPUS)
    assert "additionalModelRequestFields" not in await sent(chat, OPUS)
    assert (await sent(chat, NOVA))["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 40}}


@pytest.mark.parametrize(
    ("model", "thinking", "fields"),
    [
        (SONNET, Thinking(budget=2000), {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (OPUS, Thinking("high"), {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (SONNET, Thinking("none"), None),
        (NOVA, Thinking("xhigh"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        ("openai.gpt-oss-120b-1:0", Thinking("minimal"), {"reasoning_effort": "low"}),
        (LLAMA, Thinking("high"), None),
    ],
)
async def test_thinking_is_asked_for_in_the_words_of_the_models_family(model, thinking, fields):
    body = await sent(Chat(HELLO, thinking=thinking, temperature=0.5, top_p=0.5, top_k=3, max_tokens=9000), model)

    if fields is None:
        assert "thinking" not in body.get("additionalModelRequestFields", {})
    else:
        assert fields.items() <= body["additionalModelRequestFields"].items()
    if fields is not None and "thinking" in fields:
        assert body["inferenceConfig"] == {"maxTokens": 9000}
        assert "top_k" not in body["additionalModelRequestFields"]


async def test_only_betas_that_bedrock_knows_travel_on():
    headers = {"anthropic-beta": "context-1m-2025-08-07, claude-code-20250219"}

    fields = (await sent(Chat(HELLO), SONNET, headers=headers))["additionalModelRequestFields"]

    assert fields == {"anthropic_beta": ["context-1m-2025-08-07"]}
    assert "additionalModelRequestFields" not in await sent(Chat(HELLO), LLAMA, headers=headers)


async def test_schemas_go_where_the_model_has_a_place_for_them():
    chat = Chat(HELLO, output=OutputFormat("schema", {"type": "object"}, name="n"))

    form = (await sent(chat, SONNET))["outputConfig"]["textFormat"]
    assert form["structure"]["jsonSchema"] == {"schema": '{"type":"object","additionalProperties":false}', "name": "n"}
    asked = await sent(chat, LLAMA)
    assert "outputConfig" not in asked
    assert '{"type":"object"}' in asked["system"][0]["text"]
    assert "JSON" in (await sent(Chat(HELLO, output=OutputFormat("json"))))["system"][0]["text"]


async def test_converses_own_members_are_passed():
    guard = {"guardrailIdentifier": "g", "guardrailVersion": "1"}
    fields = {"top_k": 7}

    body = await sent(Chat(HELLO, extra={"guardrailConfig": guard, "additionalModelRequestFields": fields, "x": 1}))

    assert body["guardrailConfig"] == guard
    assert body["additionalModelRequestFields"] == fields
    assert "x" not in body


@pytest.mark.parametrize(
    "chat",
    [
        Chat(HELLO, n=2),
        Chat([Turn("user", [Text(" ")])]),
        Chat([Turn("user", [Media("image", url="https://example.com/a.png", mime="image/png")])]),
        Chat([Turn("user", [Media("image", data="aGk=", mime="image/tiff")])]),
        Chat([Turn("user", [Media("file", data="aGk=", name="a.zip")])]),
    ],
)
async def test_what_bedrock_cannot_take_is_refused_before_any_call(chat):
    with pytest.raises(BadRequest):
        await outgoing(chat)
