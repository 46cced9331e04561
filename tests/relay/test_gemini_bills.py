"""What a caller owes who leaves a stream of Gemini's before its last chunk.

https://ai.google.dev/api/generate-content#UsageMetadata: every chunk repeats the prompt's figures, and those before the
last leave out `candidatesTokenCount`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from billing.pricing import Price, Usage
from relay import reading
from relay.adapters.gemini.adapter import Gemini
from relay.dialects.gemini.dialect import GeminiDialect
from relay.dialects.openai.dialect import OpenAIDialect
from relay.passages.base import Flow
from relay.passages.overheard import Overheard
from relay.passages.translated import Translated
from relay.types import Attempt, Call, Head, Mode
from tests.relay.adapters.vendors import Answers, sse
from tests.relay.wire.cases import Json, route

MODEL = "gemini-2.5-flash"
PRICE = Price(Decimal(1), Decimal(1), Decimal(1))
PROMPT = {"promptTokenCount": 4, "totalTokenCount": 4}


def chunk(text: str, counts: Json) -> Json:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, "index": 0}], "usageMetadata": counts}


def streaming(way: str) -> tuple[Flow, Call]:
    outside: Any = Answers()
    attempt = Attempt(route(24), MODEL, PRICE)
    if way == "native":
        path, gemini = f"/v1beta/models/{MODEL}:streamGenerateContent", GeminiDialect()
        asked: Json = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
        head = Head("POST", path, path, "alt=sse", {}, "127.0.0.1")
        call = gemini.read(Mode.CHAT, head, orjson.dumps(asked), f"{MODEL}:streamGenerateContent")
        return Overheard(outside, Gemini(), gemini, call, attempt).flow(), call
    path, openai = "/v1/chat/completions", OpenAIDialect()
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    call = openai.read(Mode.CHAT, Head("POST", path, path, "", {}, "127.0.0.1"), orjson.dumps(asked))
    return Translated(outside, Gemini(), openai, call, attempt).flow(), call


@pytest.mark.parametrize("way", ["native", "translated"])
def test_reports_of_the_prompt_alone_leave_the_text_to_be_counted(way: str) -> None:
    flow, call = streaming(way)

    for _ in range(20):
        flow.feed(sse(chunk("word " * 50, PROMPT)))

    assert "".join(flow.generated.texts) == "word " * 1000
    assert flow.generated.usage == Usage(4, 0)
    assert reading.so_far(call, flow.generated).completion_tokens >= 1000


@pytest.mark.parametrize("way", ["native", "translated"])
def test_a_report_of_the_prompt_alone_takes_nothing_back_that_was_counted(way: str) -> None:
    flow, call = streaming(way)

    flow.feed(sse(chunk("word " * 50, {**PROMPT, "candidatesTokenCount": 50, "totalTokenCount": 54})))
    flow.feed(sse(chunk("word " * 50, PROMPT)))

    assert flow.generated.usage == Usage(4, 50)
    assert reading.so_far(call, flow.generated).completion_tokens >= 100


@pytest.mark.parametrize("way", ["native", "translated"])
def test_the_last_report_counts_all_that_was_said(way: str) -> None:
    flow, call = streaming(way)

    flow.feed(sse(chunk("word " * 50, PROMPT)))
    last = chunk("end", {**PROMPT, "candidatesTokenCount": 51, "totalTokenCount": 55})
    last["candidates"][0]["finishReason"] = "STOP"
    flow.feed(sse(last))

    assert (flow.generated.usage, flow.generated.texts) == (Usage(4, 51), [])
    assert reading.so_far(call, flow.generated).completion_tokens == 51
