"""What Gemini's clients ask (https://ai.google.dev/api), read, changed for a Gemini channel, and translated."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from billing.pricing import Price
from relay.dialects.gemini.dialect import GeminiDialect
from relay.errors import BadRequest, NotFound
from relay.neutral.request import (
    Chat,
    Embed,
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
from relay.types import Attempt, Call, Head, Mode
from tests.relay.wire.cases import route

DIALECT = GeminiDialect()
HELLO: Json = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
PRICE = Price(Decimal(1), Decimal(1), Decimal(1))


def call(document: Json | bytes, action: str = "generateContent", version: str = "v1beta", query: str = "") -> Call:
    path = f"/{version}/models/gemini-2.5-flash:{action}"
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    mode = Mode.EMBEDDINGS if "mbed" in action else Mode.CHAT
    return DIALECT.read(mode, Head("POST", path, path, query, {}, "127.0.0.1"), body)


def chat(**members: Any) -> Chat:
    read = DIALECT.neutral(call({**HELLO, **members}))
    assert isinstance(read, Chat)
    return read


def contents(*turns: Json) -> list[Turn]:
    return chat(contents=list(turns)).turns


# Reading


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_the_model_is_the_addresss(version: str) -> None:
    read = call(HELLO, version=version)
    assert (read.model, read.stream, read.mode) == ("gemini-2.5-flash", False, Mode.CHAT)
    assert call(HELLO, "streamGenerateContent", version).stream


def test_an_action_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        call(HELLO, "predict")


@pytest.mark.parametrize(
    ("place", "model"),
    [
        ("models/deepseek/r1:free", "deepseek/r1:free"),
        ("tunedModels/mine", "tunedModels/mine"),
    ],
)
def test_names_of_models_may_hold_colons_and_slashes(place: str, model: str) -> None:
    path = f"/v1beta/{place}:generateContent"
    read = DIALECT.read(Mode.CHAT, Head("POST", path, path, "", {}, "127.0.0.1"), json.dumps(HELLO).encode())
    assert read.model == model


@pytest.mark.parametrize(
    "config",
    [
        {"generationConfig": {"maxOutputTokens": 100, "candidateCount": 2}},
        {"generation_config": {"max_output_tokens": 100, "candidate_count": 2}},
    ],
)
def test_what_is_priced_is_read_in_either_spelling(config: Json) -> None:
    read = call({**HELLO, **config})
    assert (read.max_tokens, read.times) == (200, 2)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"contents": []},
        {"contents": "Hi"},
        {"contents": [3]},
        {**HELLO, "generationConfig": {"maxOutputTokens": -1}},
        {**HELLO, "generationConfig": {"maxOutputTokens": "9"}},
        {**HELLO, "generationConfig": {"candidateCount": 0}},
        {**HELLO, "generationConfig": {"candidateCount": 9}},
        {**HELLO, "generationConfig": {}, "generation_config": {"maxOutputTokens": 9}},
        {**HELLO, "generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 10**6}},
    ],
)
def test_what_cannot_be_priced_is_refused(document: Json) -> None:
    with pytest.raises(BadRequest):
        call(document)


def test_a_longer_prompt_is_estimated_higher() -> None:
    longer = {"contents": [{"parts": [{"text": "word " * 1000}]}]}
    assert call(longer).prompt_estimate > call(HELLO).prompt_estimate + 1000
    told = {**HELLO, "tools": [{"function_declarations": [{"name": "f", "description": "word " * 1000}]}]}
    assert call(told).prompt_estimate > call(HELLO).prompt_estimate + 1000
    embedded = {"requests": [{"content": {"parts": [{"text": "word " * 1000}]}}]}
    assert call(embedded, "batchEmbedContents").prompt_estimate > 1000


# For a Gemini channel


def attempt(model: str = "gemini-2.5-flash", system_prompt: str = "", max_tokens: int | None = None) -> Attempt:
    return Attempt(route(24, system_prompt=system_prompt), model, PRICE, max_tokens=max_tokens)


def test_a_mapped_model_leaves_the_body_alone() -> None:
    body = b'{ "contents" : [{"parts":[{"text":"Hi"}]}], "safetySettings": [] , "unknown": 1e2}'
    assert DIALECT.native_body(call(body), attempt("gemini-3.8-flash")) == body


def test_a_channels_prompt_takes_the_place_of_the_callers() -> None:
    sent = orjson.loads(DIALECT.native_body(call(HELLO), attempt(system_prompt="Be kind.")))
    assert sent == {**HELLO, "systemInstruction": {"parts": [{"text": "Be kind."}]}}
    own = {**HELLO, "system_instruction": {"parts": [{"text": "Be rude."}]}}
    sent = orjson.loads(DIALECT.native_body(call(own), attempt(system_prompt="Be kind.")))
    assert sent == {**HELLO, "system_instruction": {"parts": [{"text": "Be kind."}]}}


@pytest.mark.parametrize(
    ("given_config", "sent_config"),
    [
        ({}, {"generationConfig": {"maxOutputTokens": 50}}),
        ({"generationConfig": {"topK": 1}}, {"generationConfig": {"topK": 1, "maxOutputTokens": 50}}),
        ({"generationConfig": {"maxOutputTokens": 99}}, {"generationConfig": {"maxOutputTokens": 50}}),
        ({"generationConfig": {"maxOutputTokens": 9}}, {"generationConfig": {"maxOutputTokens": 9}}),
        ({"generation_config": {"max_output_tokens": 99}}, {"generation_config": {"max_output_tokens": 50}}),
    ],
)
def test_a_lower_maximum_is_written_where_the_callers_stands(given_config: Json, sent_config: Json) -> None:
    sent = orjson.loads(DIALECT.native_body(call({**HELLO, **given_config}), attempt(max_tokens=50)))
    assert sent == {**HELLO, **sent_config}


def test_embeddings_and_counts_name_the_mapped_model_in_the_body_too() -> None:
    one = {"model": "models/gemini-2.5-flash", "content": {"parts": [{"text": "a"}]}}
    sent = DIALECT.native_body(call({"requests": [one]}, "batchEmbedContents"), attempt("mapped"))
    assert orjson.loads(sent) == {"requests": [{**one, "model": "models/mapped"}]}
    assert orjson.loads(DIALECT.native_body(call(one, "embedContent"), attempt("mapped")))["model"] == "models/mapped"
    counted = {"generateContentRequest": {**HELLO, "model": "models/gemini-2.5-flash"}}
    sent = DIALECT.native_body(call(counted, "countTokens"), attempt("mapped", system_prompt="x", max_tokens=1))
    assert orjson.loads(sent) == {"generateContentRequest": {**HELLO, "model": "models/mapped"}}


# Translated


def test_contents_become_turns() -> None:
    assert contents(
        {"parts": [{"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
        {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "I see."}]},
        {"role": "user", "parts": [{"file_data": {"mime_type": "video/mp4", "file_uri": "gs://b/a.mp4"}}]},
    ) == [
        Turn("user", [Text("Look"), Media("image", data="aGk=", mime="image/png")]),
        Turn("assistant", [Thought("hm"), Text("I see.")]),
        Turn("user", [Media("video", url="gs://b/a.mp4", mime="video/mp4")]),
    ]


def test_the_alphabet_of_urls_is_read_as_base64() -> None:
    assert contents({"parts": [{"inlineData": {"mimeType": "audio/wav", "data": "-_8"}}]})[0].parts == [
        Media("audio", data="+/8=", mime="audio/wav")
    ]


def test_a_signature_after_the_thought_it_signs_belongs_to_it() -> None:
    parts: list[Json] = [
        {"text": "first ", "thought": True},
        {"text": "second", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "AAAA"},
        {"text": "other", "thought": True},
    ]
    assert contents({"role": "model", "parts": parts})[0].parts == [Thought("first second", "AAAA"), Thought("other")]


def test_results_without_ids_answer_the_first_open_call_of_their_name() -> None:
    turns = contents(
        {
            "role": "model",
            "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}, {"functionCall": {"name": "f"}}],
        },
        {
            "role": "function",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"result": "one"}}},
                {"functionResponse": {"name": "f", "response": {"temp_c": 4}}},
            ],
        },
    )
    assert turns[0].parts == [ToolCall("call_1", "f", '{"a":1}'), ToolCall("call_2", "f", "{}")]
    assert turns[1].parts == [
        ToolResult("call_1", "f", [Text("one")]),
        ToolResult("call_2", "f", [Text('{"temp_c":4}')]),
    ]


def test_results_with_ids_of_the_clients_own_answer_calls_without_ids() -> None:
    """Gemini CLI does so with the calls of Gemini 2.5, whose history may go on with another model."""
    calls = [{"functionCall": {"name": "f", "args": {"n": 1}}}, {"functionCall": {"name": "f", "id": "theirs"}}]
    results = [
        {"functionResponse": {"name": "f", "id": "theirs", "response": {"output": "two"}}},
        {"functionResponse": {"name": "f", "id": "f-1764-ab", "response": {"output": "one"}}},
        {"functionResponse": {"name": "f", "id": "f-1764-cd", "response": {"output": "none"}}},
    ]

    turns = contents({"role": "model", "parts": calls}, {"role": "user", "parts": results})

    assert [part.call_id for part in turns[1].parts if isinstance(part, ToolResult)] == [
        "theirs",
        "call_1",
        "f-1764-cd",
    ]


def test_a_failed_result_is_one() -> None:
    part = {"functionResponse": {"name": "f", "id": "x", "response": {"error": "no such file"}}}
    assert contents({"parts": [part]})[0].parts == [ToolResult("x", "f", [Text("no such file")], failed=True)]


def test_what_gemini_cli_sends_is_understood() -> None:
    """Its body, shortened: a system instruction, tools by JSON schema, ids, a signature that stands for none."""
    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "additionalProperties": False}
    signature = "skip_thought_signature_validator"
    document = {
        "contents": [
            {"role": "user", "parts": [{"text": "This is the Gemini CLI."}]},
            {
                "role": "model",
                "parts": [
                    {
                        "functionCall": {"name": "read_file", "args": {"path": "a"}, "id": "read_file-1-a"},
                        "thoughtSignature": signature,
                    }
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "read_file-1-a", "name": "read_file", "response": {"output": "text"}}}
                ],
            },
        ],
        "systemInstruction": {"role": "user", "parts": [{"text": "You are an agent."}]},
        "tools": [{"functionDeclarations": [{"name": "read_file", "parametersJsonSchema": schema}]}],
        "generationConfig": {
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"},
        },
    }
    types.Content.model_validate(document["contents"][0])  # type: ignore[index]
    read = DIALECT.neutral(call(document, "streamGenerateContent", query="alt=sse"))
    assert read == Chat(
        turns=[
            Turn("user", [Text("This is the Gemini CLI.")]),
            Turn("assistant", [ToolCall("read_file-1-a", "read_file", '{"path":"a"}', signature)]),
            Turn("user", [ToolResult("read_file-1-a", "read_file", [Text("text")])]),
        ],
        system=[Text("You are an agent.")],
        stream=True,
        tools=[Tool("read_file", "", schema)],
        temperature=1,
        top_p=0.95,
        top_k=64,
        thinking=Thinking("high", None, True),
    )


def test_openapis_schemas_become_json_schemas() -> None:
    given_schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "enum": ["a"], "format": "enum"},
            "list": {"type": "ARRAY", "items": {"any_of": [{"type": "INTEGER"}, {"type": "NUMBER"}]}, "max_items": "3"},
        },
        "property_ordering": ["type"],
        "required": ["type"],
    }
    made = chat(tools=[{"functionDeclarations": [{"name": "f", "description": "d", "parameters": given_schema}]}])
    assert made.tools == [
        Tool(
            "f",
            "d",
            {
                "type": "object",
                "properties": {
                    "type": {"type": ["string", "null"], "enum": ["a", None]},
                    "list": {
                        "type": "array",
                        "items": {"anyOf": [{"type": "integer"}, {"type": "number"}]},
                        "maxItems": 3,
                    },
                },
                "required": ["type"],
            },
        )
    ]


@pytest.mark.parametrize(
    ("config", "choice", "left"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto"), ["f", "g"]),
        ({"mode": "validated"}, ToolChoice("auto"), ["f", "g"]),
        ({"mode": "NONE"}, ToolChoice("none"), ["f", "g"]),
        ({"mode": "ANY"}, ToolChoice("required"), ["f", "g"]),
        ({"mode": "ANY", "allowed_function_names": ["g"]}, ToolChoice("named", "g"), ["g"]),
        ({"mode": "ANY", "allowedFunctionNames": ["g", "f"]}, ToolChoice("required"), ["f", "g"]),
        ({}, None, ["f", "g"]),
    ],
)
def test_choices_of_functions(config: Json, choice: ToolChoice | None, left: list[str]) -> None:
    made = chat(
        tools=[{"functionDeclarations": [{"name": "f"}]}, {"functionDeclarations": [{"name": "g"}]}, {}],
        toolConfig={"functionCallingConfig": config},
    )
    assert made.tool_choice == choice
    assert [tool.name for tool in made.tools] == left


@pytest.mark.parametrize("name", ["googleSearch", "code_execution", "urlContext"])
@pytest.mark.parametrize("mode", ["AUTO", "NONE", "ANY"])
def test_tools_of_geminis_own_are_left_out(name: str, mode: str) -> None:
    made = chat(
        tools=[{name: {}}, {"functionDeclarations": [{"name": "f"}]}],
        toolConfig={"functionCallingConfig": {"mode": mode}},
    )
    assert [tool.name for tool in made.tools] == ["f"]

    alone = chat(tools=[{name: {}}])
    assert (alone.tools, alone.tool_choice) == ([], None)


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [{"googleSearch": {}}], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        {"cachedContent": "cachedContents/x"},
        {"generationConfig": {"responseMimeType": "text/x.enum"}},
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "VERY"}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}},
        {"tools": [{"functionDeclarations": [{"name": ""}]}]},
        {"systemInstruction": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}},
        {"contents": [{"role": "system", "parts": [{"text": "x"}]}]},
        {"contents": [{"role": "user", "parts": [{"functionCall": {"name": "f"}}]}]},
        {"contents": [{"role": "model", "parts": [{"functionResponse": {"name": "f"}}]}]},
        {"contents": [{"parts": [{"fileData": {"fileUri": "file:///etc/passwd"}}]}]},
        {"contents": [{"parts": [{"toolCall": {}}]}]},
        {"contents": [{"parts": "x"}]},
    ],
)
def test_what_other_channels_cannot_do_is_refused_with_a_reason(members: Json) -> None:
    with pytest.raises(BadRequest) as caught:
        chat(**members)
    assert len(caught.value.message) > 10


def test_the_generation_config_is_read_whole() -> None:
    made = chat(
        generationConfig={
            "temperature": 0, "topP": 0.5, "topK": 3, "maxOutputTokens": 9, "stopSequences": ["a", ""], "seed": 7,
            "candidateCount": 1, "presencePenalty": 0.1, "frequencyPenalty": 0.2, "responseLogprobs": True,
            "logprobs": 4, "responseModalities": ["TEXT", "IMAGE"], "thinkingConfig": {"thinkingBudget": 0},
        },
        safetySettings=[],
    )  # fmt: skip
    assert made == Chat(
        turns=[Turn("user", [Text("Hi")])], temperature=0, top_p=0.5, top_k=3, max_tokens=9, stop=["a"], seed=7, n=1,
        presence_penalty=0.1, frequency_penalty=0.2, logprobs=True, top_logprobs=4, thinking=Thinking(budget=0),
        extra={"modalities": ["text", "image"]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "output"),
    [
        ({"responseMimeType": "application/json"}, OutputFormat("json")),
        ({"responseMimeType": "text/plain"}, OutputFormat("text")),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}},
            OutputFormat("schema", {"type": "string"}, "response"),
        ),
        (
            {"response_mime_type": "application/json", "_responseJsonSchema": {"type": ["string", "null"]}},
            OutputFormat("schema", {"type": ["string", "null"]}, "response"),
        ),
    ],
)
def test_forms_of_answers(config: Json, output: OutputFormat) -> None:
    assert chat(generationConfig=config).output == output


def test_embeddings_of_one_and_of_many() -> None:
    one = {"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "taskType": "RETRIEVAL_QUERY"}
    assert DIALECT.neutral(call(one, "embedContent")) == Embeddings(["ab"], purpose=Embed.QUERY)
    many = {"requests": [{"content": {"parts": [{"text": text}]}, "output_dimensionality": 3} for text in "ab"]}
    assert DIALECT.neutral(call(many, "batchEmbedContents")) == Embeddings(["a", "b"], 3)
    many["requests"][0]["output_dimensionality"] = 4
    with pytest.raises(BadRequest):
        DIALECT.neutral(call(many, "batchEmbedContents"))


def test_tokens_are_counted_by_ourselves() -> None:
    short = orjson.loads(DIALECT.count(call(HELLO, "countTokens")))
    inside = orjson.loads(DIALECT.count(call({"generateContentRequest": HELLO}, "countTokens")))
    longer = orjson.loads(
        DIALECT.count(call({"contents": [{"parts": [{"text": "hello world " * 50}]}]}, "countTokens"))
    )
    assert types.CountTokensResponse.model_validate({"totalTokens": short["totalTokens"]}).total_tokens == 7
    assert inside == short
    assert longer["totalTokens"] == 107
    assert DIALECT.neutral(call({"generateContentRequest": HELLO}, "countTokens")) == chat()


def test_a_prompt_is_counted_for_upstreams_that_do_not() -> None:
    one = call({"contents": [{"parts": [{"text": "hello world " * 50}]}]})
    assert DIALECT.prompt_tokens(one, "gpt-4o", rough=False) == 107
    assert DIALECT.prompt_tokens(one, "gpt-4o", rough=True) == one.prompt_estimate > 107
    batch = call({"requests": [{"content": {"parts": [{"text": "hello world"}]}}] * 2}, "batchEmbedContents")
    assert DIALECT.prompt_tokens(batch, "text-embedding-3-small", rough=False) == 4


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    *(
                        "contents",
                        "parts",
                        "text",
                        "functionCall",
                        "function_call",
                        "args",
                        "name",
                        "inlineData",
                        "data",
                    ),
                    *("role", "mimeType", "tools", "functionDeclarations", "parameters", "properties", "type", "items"),
                    *("generationConfig", "thinkingConfig", "maxOutputTokens", "systemInstruction", "functionResponse"),
                    *(
                        "response",
                        "toolConfig",
                        "functionCallingConfig",
                        "mode",
                        "requests",
                        "content",
                        "responseSchema",
                    ),
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(values, st.sampled_from(["generateContent", "countTokens", "embedContent", "batchEmbedContents"]))
@hypothesis_settings(max_examples=300, deadline=None)
def test_no_body_whatever_is_answered_with_anything_but_a_reason(document: Any, action: str) -> None:
    if isinstance(document, dict) and "mbed" not in action:
        document = {**HELLO, **document}
    try:
        read = call(orjson.dumps(document), action)
        sent = DIALECT.native_body(read, attempt("mapped", "prompt", 5))
        DIALECT.neutral(read)
    except BadRequest:
        return
    assert isinstance(orjson.loads(sent), dict)
