"""OpenAI's client for responses against a real server: translated for a provider of chat, else passed on.

The scripted provider of chat reports 10 prompt and 5 completion tokens unless a script says otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import orjson
import pytest

from billing.pricing import Usage
from relay.dialects.responses.dialect import ResponsesDialect
from relay.neutral.events import Counted, Event, Finished, FinishReason, Started, TextPiece, fold
from relay.types import Call, Mode
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.conftest import Payer
from tests.server import ROOT_TOKEN, Gateway
from tests.upstream.script import TEXT

CHAT, NATIVE = "deepseek-chat", "gpt-4o"
SPOKEN: list[Event] = [
    Started("resp_native", 17),
    TextPiece("Hel"),
    TextPiece("lo"),
    Finished(FinishReason.STOP),
    Counted(Usage(40, 2)),
]


class Native(BaseHTTPRequestHandler):
    """A provider of responses; `seen` are the bodies it got."""

    seen: list[Any] = []

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append((self.path, body))
        call = Call(Mode.RESPONSES, "", "", "", "", b"", body, body["model"])
        dialect = ResponsesDialect()
        if body.get("stream"):
            writer = dialect.writer(call)
            answer, kind = b"".join([writer.write(event) for event in SPOKEN]) + writer.end(), "text/event-stream"
        else:
            answer, kind = dialect.whole(call, fold(SPOKEN)), "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def providers(served: Gateway, upstream_process: FakeUpstream) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Native) as provider:
        threading.Thread(target=provider.serve_forever, daemon=True).start()
        served.add_channel(upstream_process.url, CHAT, type=36)
        served.add_channel(f"http://127.0.0.1:{provider.server_port}", NATIVE)
        served.wait_until_routed(ROOT_TOKEN, CHAT)
        served.wait_until_routed(ROOT_TOKEN, NATIVE)
        yield
        provider.shutdown()


pytestmark = pytest.mark.usefixtures("providers")


def counted(payer: Payer) -> tuple[int, int]:
    assert payer.charged() > 0
    return payer.last.prompt_tokens, payer.last.completion_tokens


def test_a_provider_of_chat_answers_responses(payer: Payer) -> None:
    response = payer.sdk.responses.create(model=CHAT, input="Hello", instructions="Be brief.", max_output_tokens=50)

    assert (response.output_text, response.status, response.model) == (TEXT, "completed", CHAT)
    assert (response.usage.input_tokens, response.usage.output_tokens) == (10, 5)
    assert counted(payer) == (10, 5)


def test_a_provider_of_chat_gets_a_chat(payer: Payer, upstream: FakeUpstream) -> None:
    payer.sdk.responses.create(model=CHAT, input="Hello", instructions="Be brief.", max_output_tokens=50)

    (request,) = upstream.seen()
    assert request.target == "/v1/chat/completions"
    assert request.json() == {
        "model": CHAT,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "max_tokens": 50,
    }


def test_a_provider_of_chat_streams_responses(payer: Payer) -> None:
    with payer.sdk.responses.stream(model=CHAT, input=in_text(usage=[90, 40])) as stream:
        said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        response = stream.get_final_response()

    assert said == response.output_text == TEXT
    assert response.usage.total_tokens == 130
    assert counted(payer) == (90, 40)


def test_a_stream_that_breaks_ends_as_failed_and_is_billed_for_what_came(payer: Payer) -> None:
    events = list(payer.sdk.responses.create(model=CHAT, input=in_text(drop_after=2), stream=True))

    assert events[-1].type == "response.failed"
    assert counted(payer)[1] > 0


def test_a_forced_tool_of_openais_servers_is_refused_where_the_provider_has_none(payer: Payer) -> None:
    with pytest.raises(openai.BadRequestError, match="none of these tools of OpenAI's own"):
        payer.sdk.responses.create(model=CHAT, input="Hello", tools=[{"type": "web_search"}], tool_choice="required")

    assert payer.charged() == 0


def test_a_provider_of_responses_gets_the_request_as_it_is(payer: Payer) -> None:
    tools = [{"type": "web_search"}]
    response = payer.sdk.responses.create(model=NATIVE, input="Hello", tools=tools, conversation="conv_0")

    assert (response.id, response.output_text) == ("resp_native", "Hello")
    assert Native.seen[-1] == (
        "/v1/responses",
        {"model": NATIVE, "input": "Hello", "tools": tools, "conversation": "conv_0"},
    )
    assert counted(payer) == (40, 2)


def test_a_provider_of_responses_streams_its_own_events(payer: Payer) -> None:
    events = list(payer.sdk.responses.create(model=NATIVE, input="Hello", stream=True))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert events[-1].response.output_text == "Hello"
    assert counted(payer) == (40, 2)
