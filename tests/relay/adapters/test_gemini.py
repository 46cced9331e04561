"""What Gemini is asked (https://ai.google.dev/api/generate-content; the cases' sources are named in their files)."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from relay.adapters.base import Job, Outgoing
from relay.adapters.gemini.adapter import Gemini, Palm
from relay.adapters.gemini.request import body
from relay.errors import BadRequest
from relay.neutral.request import (
    Chat,
    Embed,
    Embeddings,
    Json,
    Media,
    OutputFormat,
    Part,
    Request,
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
from tests.relay.wire.strategies import chats, embeddings

FLASH = "gemini-2.5-flash"
NEWEST = "gemini-3.8-flash"
CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OUTSIDE = FakeOutside(load("gemini_chat"))


def job(request: Request, model: str = FLASH, config: Json | None = None, kind: int = 24) -> Job:
    return Job(route(kind, "AIzaEXAMPLE", config), model, "asked-model", request)


def said(*parts: Part, role: Any = "user") -> Turn:
    return Turn(role, list(parts))


def asked(model: str = FLASH, **members: Any) -> Json:
    members.setdefault("turns", [said(Text("Hi"))])
    return body(job(Chat(**members), model))


def thinking(model: str, **wanted: Any) -> Json | None:
    config: Json = asked(model, thinking=Thinking(**wanted)).get("generationConfig", {})
    return config.get("thinkingConfig")


def prepared(one: Job) -> Outgoing:
    return asyncio.run(Gemini().prepare(one, OUTSIDE))


@pytest.mark.parametrize("name", names("gemini_"))
async def test_the_wire_cases_pass(name: str) -> None:
    await check(load(name), Gemini())


# Addresses


def test_the_channels_own_version_outweighs_the_operators(settings: Any) -> None:
    settings.GEMINI_VERSION = "v1"
    chat = Chat([said(Text("Hi"))])
    assert "/v1/models/" in prepared(job(chat)).url
    assert "/v1alpha/models/" in prepared(job(chat, config={"api_version": "v1alpha"})).url


def test_a_models_name_cannot_change_the_address() -> None:
    url = prepared(job(Chat([said(Text("Hi"))]), "a?key=b#c")).url
    assert url.endswith("/v1beta/models/a%3Fkey%3Db%23c:generateContent")


def test_tuned_models_keep_their_place() -> None:
    assert "/v1beta/tunedModels/mine:generateContent" in prepared(job(Chat([said(Text("Hi"))]), "tunedModels/mine")).url


def test_a_native_call_keeps_version_action_and_form_but_not_the_callers_key() -> None:
    query = "alt=sse&key=sk-of-the-caller&$fields=candidates"
    url, headers = Gemini().native(job(Chat([])), "/v1/models/asked-model:streamGenerateContent", query)
    base = "https://generativelanguage.googleapis.com/v1/models"
    assert url == f"{base}/{FLASH}:streamGenerateContent?alt=sse&$fields=candidates"
    assert ("x-goog-api-key", "AIzaEXAMPLE") in headers
    plain, _ = Gemini().native(
        job(Chat([]), config={"api_version": "v1beta"}), "/v1/models/asked-model:countTokens", ""
    )
    assert plain == f"https://generativelanguage.googleapis.com/v1beta/models/{FLASH}:countTokens"


# Conversations


def test_the_operators_threshold_goes_to_every_category(settings: Any) -> None:
    settings.GEMINI_SAFETY_SETTING = "OFF"
    assert {entry["threshold"] for entry in asked()["safetySettings"]} == {"OFF"}
    settings.GEMINI_SAFETY_SETTING = ""
    assert "safetySettings" not in asked()


def test_neighbouring_turns_of_one_role_join() -> None:
    made = asked(turns=[said(Text("a")), said(Text("b")), said(Text("c"), role="assistant")])["contents"]
    assert [(turn["role"], [part["text"] for part in turn["parts"]]) for turn in made] == [
        ("user", ["a", "b"]),
        ("model", ["c"]),
    ]


def test_instructions_alone_are_asked_as_a_question() -> None:
    made = asked(turns=[], system=[Text("Say hi.")])
    assert made["contents"] == [{"role": "user", "parts": [{"text": "Say hi."}]}]
    assert "systemInstruction" not in made


def test_nothing_to_say_is_the_callers_mistake() -> None:
    with pytest.raises(BadRequest):
        asked(turns=[said(Text(""))])


def test_parallel_results_lead_one_content_and_follow_the_order_of_their_calls() -> None:
    calls = [ToolCall("a", "one", "{}"), ToolCall("b", "two", '{"x":1}')]
    results = [ToolResult("a", "one", [Text("plain")]), ToolResult("b", "two", [Text('{"y":2}')])]
    made = asked(turns=[said(*calls, role="assistant"), said(Text("so?"), *results)])["contents"]
    assert made[1]["parts"] == [
        {"functionResponse": {"name": "one", "response": {"result": "plain"}}},
        {"functionResponse": {"name": "two", "response": {"y": 2}}},
        {"text": "so?"},
    ]


def test_a_failed_tools_result_is_an_error() -> None:
    turns = [
        said(ToolCall("a", "one", "{}"), role="assistant"),
        said(ToolResult("a", "one", [Text("no such file")], failed=True)),
    ]
    assert asked(turns=turns)["contents"][1]["parts"][0]["functionResponse"]["response"] == {"error": "no such file"}


def test_a_result_without_its_call_is_refused() -> None:
    with pytest.raises(BadRequest, match="answers no call"):
        asked(turns=[said(ToolResult("a", "", [Text("x")]))])


def test_pictures_of_a_result_stand_behind_it() -> None:
    turns = [
        said(ToolCall("a", "one", "{}"), role="assistant"),
        said(ToolResult("a", "one", [Text("seen"), Media("image", data="aGk=", mime="image/png")])),
    ]
    assert asked(turns=turns)["contents"][1]["parts"][1] == {"inlineData": {"mimeType": "image/png", "data": "aGk="}}


@pytest.mark.parametrize(
    "uri", ["gs://bucket/a.mp4", "https://generativelanguage.googleapis.com/v1beta/files/x", "https://youtu.be/x"]
)
def test_addresses_that_google_opens_are_named(uri: str) -> None:
    assert Gemini().takes_url(uri)
    made = asked(turns=[said(Media("video", url=uri, mime="video/mp4"))])
    assert made["contents"][0]["parts"] == [{"fileData": {"mimeType": "video/mp4", "fileUri": uri}}]


def test_other_addresses_are_to_be_fetched() -> None:
    assert not Gemini().takes_url("https://example.com/a.png")
    with pytest.raises(BadRequest):
        asked(turns=[said(Media("image", url="https://example.com/a.png"))])


# Thought signatures (https://ai.google.dev/gemini-api/docs/thought-signatures)


@pytest.mark.parametrize(
    ("mime", "named"),
    [
        ("image/jpg", "image/jpeg"),
        ("IMAGE/JPG; charset=binary", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        ("image/x-png", "image/png"),
        ("image/heic", "image/heic"),
    ],
)
def test_a_picture_has_the_registered_name_of_its_type(mime: str, named: str) -> None:
    """`image/jpg` is answered with 400; the types: https://ai.google.dev/gemini-api/docs/image-understanding."""
    [part] = asked(turns=[said(Media("image", data="aGk=", mime=mime))])["contents"][0]["parts"]

    assert part["inlineData"]["mimeType"] == named


def test_signatures_go_back_where_they_came_from() -> None:
    turn = said(Text("Let me see.", signature="AAAA"), ToolCall("a", "one", "{}", "BBBB"), role="assistant")
    parts = asked(NEWEST, turns=[turn])["contents"][0]["parts"]
    assert [part["thoughtSignature"] for part in parts] == ["AAAA", "BBBB"]


def test_only_the_first_of_foreign_calls_is_excused_and_only_where_signatures_are_demanded() -> None:
    turn = said(ToolCall("a", "one", "{}"), ToolCall("b", "one", "{}"), role="assistant")
    parts = asked(NEWEST, turns=[turn])["contents"][0]["parts"]
    assert parts[0]["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in parts[1]
    assert [part["functionCall"]["id"] for part in parts] == ["a", "b"]
    assert all("thoughtSignature" not in part for part in asked(FLASH, turns=[turn])["contents"][0]["parts"])


def test_reasoning_of_earlier_turns_stays_here() -> None:
    made = asked(turns=[said(Thought("hm", "sig-of-claude"), Text("yes"), role="assistant")])
    assert made["contents"] == [{"role": "model", "parts": [{"text": "yes"}]}]


# Thinking (https://ai.google.dev/gemini-api/docs/thinking)


@pytest.mark.parametrize(
    ("model", "wanted", "config"),
    [
        (FLASH, {"effort": "low"}, {"thinkingBudget": 1024}),
        (FLASH, {"effort": "medium"}, {"thinkingBudget": 8192}),
        (FLASH, {"effort": "high"}, {"thinkingBudget": 24576}),
        (FLASH, {"effort": "none"}, {"thinkingBudget": 0}),
        (FLASH, {"budget": -1}, {"thinkingBudget": -1}),
        (FLASH, {"budget": 100_000}, {"thinkingBudget": 24576}),
        ("gemini-2.5-pro", {"effort": "none"}, {"thinkingBudget": 128}),
        ("gemini-2.5-pro", {"effort": "max"}, {"thinkingBudget": 32768}),
        ("gemini-2.5-flash-lite", {"budget": 100}, {"thinkingBudget": 512}),
        ("gemini-3-pro-preview", {"effort": "medium"}, {"thinkingLevel": "HIGH"}),
        ("gemini-3-pro-preview", {"effort": "minimal"}, {"thinkingLevel": "LOW"}),
        ("gemini-3.1-pro-preview", {"effort": "medium"}, {"thinkingLevel": "MEDIUM"}),
        ("gemini-3-flash-preview", {"effort": "none"}, {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.1-flash-lite", {"budget": 0}, {"thinkingLevel": "MINIMAL"}),
        (NEWEST, {"effort": "minimal"}, {"thinkingLevel": "LOW"}),
        (NEWEST, {"budget": 1024}, {"thinkingLevel": "LOW"}),
        (NEWEST, {"budget": 20_000}, {"thinkingLevel": "HIGH"}),
        (NEWEST, {"effort": "xhigh", "budget": 1}, {"thinkingLevel": "HIGH"}),
        (NEWEST, {"shown": True}, {"includeThoughts": True}),
        ("gemini-flash-latest", {"effort": "low"}, {"thinkingLevel": "LOW"}),
        (NEWEST, {"budget": -1}, None),
        ("gemini-2.0-flash", {"effort": "high", "shown": True}, None),
        ("gemini-2.5-flash-image", {"effort": "high"}, None),
        ("gemma-3-27b-it", {"effort": "high"}, None),
    ],
)
def test_thinking_is_asked_for_in_the_words_of_the_models_generation(
    model: str, wanted: Json, config: Json | None
) -> None:
    assert thinking(model, **wanted) == config


# Tools and schemas


def declared(parameters: Json | None) -> Json:
    made: Json = asked(tools=[Tool("f", "does it", parameters)])["tools"][0]["functionDeclarations"][0]
    return {name: value for name, value in made.items() if name not in ("name", "description")}


def test_a_schema_of_the_common_subset_goes_where_every_version_reads_it() -> None:
    assert declared(CITY) == {"parameters": CITY}


@pytest.mark.parametrize(
    "more",
    [
        {"additionalProperties": False},
        {"$defs": {"a": {"type": "string"}}},
        {"properties": {"city": {"type": ["string", "null"]}}},
        {"properties": {"city": {"type": "string", "format": "uri"}}},
        {"properties": {"city": {"type": "integer", "enum": [1, 2]}}},
        {"properties": {"city": {"const": "Oslo"}}},
        {"properties": {"cities": {"type": "array", "items": {"$ref": "#/$defs/a"}}}},
    ],
)
def test_a_schema_beyond_the_subset_goes_whole_as_json_schema(more: Json) -> None:
    schema = {**CITY, **more}
    assert declared(schema) == {"parametersJsonSchema": schema}


def test_the_name_of_a_schemas_draft_is_left_out() -> None:
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    assert declared({**draft, **CITY}) == {"parameters": CITY}
    strict = {**CITY, "additionalProperties": False}
    assert declared({**draft, **strict}) == {"parametersJsonSchema": strict}


@pytest.mark.parametrize("empty", [None, {}, {"type": "object", "properties": {}}, {"type": "object"}])
def test_a_function_without_parameters_has_none(empty: Json | None) -> None:
    assert declared(empty) == {}


def test_a_function_of_free_arguments_has_parameters() -> None:
    free = {"type": "object", "additionalProperties": True}
    assert declared(free) == {"parametersJsonSchema": free}


def test_an_answers_schema_follows_the_same_rule() -> None:
    config = asked(output=OutputFormat("schema", CITY, "city"))["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseSchema": CITY}
    strict = {**CITY, "additionalProperties": False}
    config = asked(output=OutputFormat("schema", strict, "city"))["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": strict}
    assert asked(output=OutputFormat("json"))["generationConfig"] == {"responseMimeType": "application/json"}


@pytest.mark.parametrize("form", [OutputFormat("schema", CITY, "city"), OutputFormat("json")])
def test_models_that_take_no_form_beside_functions_are_told_it(form: OutputFormat) -> None:
    """Before Gemini 3, the two together are refused: https://github.com/googleapis/python-genai/issues/867."""
    told = asked(tools=[Tool("f")], output=form, system=[Text("Be brief.")])

    assert "generationConfig" not in told
    first, second = told["systemInstruction"]["parts"]
    assert first == {"text": "Be brief."}
    assert "JSON" in second["text"]
    assert ('"city"' in second["text"]) is (form.kind == "schema")
    newer = asked(NEWEST, tools=[Tool("f")], output=form)
    assert newer["generationConfig"]["responseMimeType"] == "application/json"
    assert "systemInstruction" not in newer


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("named", "f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_choices_of_tools(choice: ToolChoice, config: Json) -> None:
    made = asked(tools=[Tool("f")], tool_choice=choice)
    assert made["toolConfig"] == {"functionCallingConfig": config}
    assert "toolConfig" not in asked(tool_choice=choice)


def test_figures_have_their_names() -> None:
    config = asked(
        temperature=0.0, top_p=0.5, top_k=3, max_tokens=9, stop=["a"], n=2, seed=7, presence_penalty=0.1,
        frequency_penalty=0.2, logprobs=True, top_logprobs=4,
    )["generationConfig"]  # fmt: skip
    assert config == {
        "temperature": 0.0, "topP": 0.5, "topK": 3, "maxOutputTokens": 9, "stopSequences": ["a"], "candidateCount": 2,
        "seed": 7, "presencePenalty": 0.1, "frequencyPenalty": 0.2, "responseLogprobs": True, "logprobs": 4,
    }  # fmt: skip
    assert "generationConfig" not in asked(n=1)


def test_more_stop_sequences_than_gemini_takes_are_refused() -> None:
    with pytest.raises(BadRequest, match="at most 5"):
        asked(stop=list("abcdef"))


def test_pictures_are_asked_for_by_openais_modalities() -> None:
    assert asked(extra={"modalities": ["text", "image"]})["generationConfig"] == {
        "responseModalities": ["TEXT", "IMAGE"]
    }
    assert "generationConfig" not in asked(extra={"modalities": ["text"]})


def test_googles_own_cache_is_named_through_openais_extra_body() -> None:
    extra = {"extra_body": {"google": {"cached_content": "cachedContents/x"}}}
    assert asked(extra=extra)["cachedContent"] == "cachedContents/x"


# Embeddings, and the protocol that is gone


def test_an_embeddings_purpose_is_its_task() -> None:
    made = orjson.loads(prepared(job(Embeddings(["a"], purpose=Embed.QUERY), "gemini-embedding-001")).body)
    assert made["requests"][0]["taskType"] == "RETRIEVAL_QUERY"
    assert made["requests"][0]["model"] == "models/gemini-embedding-001"


def test_token_numbers_cannot_be_embedded() -> None:
    with pytest.raises(BadRequest, match="token numbers"):
        prepared(job(Embeddings([[1, 2]])))


def test_palm_is_gone_until_it_is_mapped() -> None:
    chat = Chat([said(Text("Hi"))])
    with pytest.raises(BadRequest) as caught:
        asyncio.run(Palm().prepare(job(chat, "PaLM-2", kind=11), OUTSIDE))
    assert caught.value.status == 410
    url = asyncio.run(Palm().prepare(job(chat, FLASH, kind=11), OUTSIDE)).url
    assert url == f"https://generativelanguage.googleapis.com/v1beta/models/{FLASH}:generateContent"


def test_arguments_nested_without_end_are_the_callers_mistake() -> None:
    deep = '{"a":' * 400 + "1" + "}" * 400
    with pytest.raises(BadRequest, match="nested"):
        prepared(job(Chat([said(ToolCall("a", "f", deep), role="assistant")])))


@given(chats())
@hypothesis_settings(max_examples=150, deadline=None)
def test_any_conversation_is_sent_or_refused_with_a_reason(chat: Chat) -> None:
    for model in (FLASH, NEWEST):
        try:
            outgoing = prepared(job(chat, model))
        except BadRequest:
            continue
        document = orjson.loads(outgoing.body)
        assert all(content["parts"] for content in document["contents"])
        assert ("?alt=sse" in outgoing.url) == chat.stream


@given(embeddings)
@hypothesis_settings(max_examples=50, deadline=None)
def test_any_inputs_are_embedded_or_refused_with_a_reason(asked_for: Embeddings) -> None:
    try:
        outgoing = prepared(job(asked_for))
    except BadRequest:
        assert any(isinstance(entry, list) for entry in asked_for.inputs)
    else:
        assert len(orjson.loads(outgoing.body)["requests"]) == len(asked_for.inputs)
