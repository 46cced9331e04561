"""Google's own SDK on one side, the dialect on the other, a socket between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest
from google import genai
from google.genai import errors, types

from relay.dialects.gemini.dialect import GeminiDialect
from relay.dialects.gemini.models import model_document, model_list
from relay.dialects.gemini.request import ACTIONS, PATH, counts_only
from relay.errors import RelayError, UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Counted,
    Event,
    Finished,
    FinishReason,
    Started,
    TextPiece,
    Vectors,
    fold,
)
from relay.neutral.request import Chat, Embeddings, Request, Text, ToolCall, ToolResult
from relay.types import Head, Mode, Usage

DIALECT = GeminiDialect()
SAID: list[Event] = [
    Started("r1"),
    TextPiece("Hel"),
    TextPiece("lo"),
    CallStarted(0, "c1", "get_weather", signature="QUFBQQ=="),
    CallPiece(0, '{"city":"Oslo"}'),
    Counted(Usage(4, 9)),
    Finished(FinishReason.TOOL_CALLS),
]


class Gateway(ThreadingHTTPServer):
    """Answers every call with SAID, or with `error`; keeps what was asked."""

    asked: list[Request]
    paths: list[str]
    error: RelayError | None = None


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        name = path.partition("/models/")[2]
        self._send(200, orjson.dumps(model_document(name) if name else model_list(["gpt-4o", "claude"], query)))

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers["content-length"]))
        found = PATH.fullmatch(path)
        assert found
        call = DIALECT.read(ACTIONS[found["action"]], Head("POST", path, path, query, {}, "127.0.0.1"), body)
        self.server.paths.append(self.path)
        self.server.asked.append(DIALECT.neutral(call))
        if self.server.error is not None:
            self._send(self.server.error.status, DIALECT.failure(self.server.error, "REQ"))
        elif counts_only(call):
            self._send(200, DIALECT.count(call))
        elif call.mode is Mode.EMBEDDINGS:
            self._send(200, DIALECT.whole(call, Vectors([[0.5, 0.25]])))
        elif call.stream:
            writer = DIALECT.writer(call)
            self._send(
                200, b"".join([writer.write(event) for event in SAID]) + writer.end(), DIALECT.content_type(call)
            )
        else:
            self._send(200, DIALECT.whole(call, fold(SAID)))

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(("127.0.0.1", 0), Handler) as server:
        server.asked, server.paths = [], []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(gateway: Gateway) -> Iterator[genai.Client]:
    address = f"http://127.0.0.1:{gateway.server_port}"
    with genai.Client(api_key="sk-x", http_options=types.HttpOptions(base_url=address)) as client:
        yield client


def get_weather(city: str) -> str:
    """Look up the weather.

    Args:
        city: Name of the city.
    """
    return city


CONFIG = types.GenerateContentConfig(
    system_instruction="Be brief.",
    max_output_tokens=100,
    tools=[get_weather],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)


def test_a_plain_answer(gateway: Gateway, client: genai.Client) -> None:
    answer = client.models.generate_content(model="gpt-4o", contents="Hi", config=CONFIG)
    assert answer.candidates
    assert answer.candidates[0].content
    assert (answer.candidates[0].content.parts or [])[0].text == "Hello"
    calls = answer.function_calls or []
    assert [(called.id, called.name, called.args) for called in calls] == [("c1", "get_weather", {"city": "Oslo"})]
    assert answer.usage_metadata
    assert answer.usage_metadata.total_token_count == 13
    asked = gateway.asked[0]
    assert isinstance(asked, Chat)
    assert (asked.system, asked.max_tokens, asked.stream) == ([Text("Be brief.")], 100, False)
    assert asked.tools[0].parameters
    assert asked.tools[0].parameters["properties"]["city"]["type"] == "string"


def test_a_stream(gateway: Gateway, client: genai.Client) -> None:
    answers = list(client.models.generate_content_stream(model="gpt-4o", contents="Hi", config=CONFIG))
    texts = [part.text for answer in answers for part in _parts(answer) if part.text]
    assert texts == ["Hel", "lo"]
    assert [called.name for answer in answers for called in answer.function_calls or []] == ["get_weather"]
    assert answers[-1].usage_metadata
    assert answers[-1].usage_metadata.candidates_token_count == 9
    assert gateway.paths[0].endswith("/models/gpt-4o:streamGenerateContent?alt=sse")


def _parts(answer: types.GenerateContentResponse) -> list[types.Part]:
    content = answer.candidates[0].content if answer.candidates else None
    return (content.parts if content else None) or []


def test_a_calls_result_goes_back_with_its_signature(gateway: Gateway, client: genai.Client) -> None:
    answer = client.models.generate_content(model="gpt-4o", contents="Hi", config=CONFIG)
    assert answer.candidates
    assert answer.candidates[0].content
    result = types.Part(
        function_response=types.FunctionResponse(id="c1", name="get_weather", response={"result": "4 degrees"})
    )
    history = [
        types.Content(role="user", parts=[types.Part(text="Hi")]),
        answer.candidates[0].content,
        types.Content(role="user", parts=[result]),
    ]
    client.models.generate_content(model="gpt-4o", contents=history, config=CONFIG)
    asked = gateway.asked[-1]
    assert isinstance(asked, Chat)
    assert asked.turns[1].parts[1] == ToolCall("c1", "get_weather", '{"city":"Oslo"}', "QUFBQQ==")
    assert asked.turns[2].parts == [ToolResult("c1", "get_weather", [Text("4 degrees")])]


def test_an_error_is_one(gateway: Gateway, client: genai.Client) -> None:
    gateway.error = UpstreamError("slow down", status=400, kind="FAILED_PRECONDITION")
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="gpt-4o", contents="Hi")
    told = (caught.value.code, caught.value.status, caught.value.message)
    assert told == (400, "FAILED_PRECONDITION", "slow down")


def test_an_error_in_the_middle_of_a_stream_is_one(
    gateway: Gateway, client: genai.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = DIALECT.writer
    broken = UpstreamError("broken off", code="stream_broken")

    def breaking(call: Any) -> Any:
        made = writer(call)
        monkeypatch.setattr(made, "end", lambda: made.fail(broken, "REQ"))
        return made

    monkeypatch.setattr(DIALECT, "writer", breaking)
    answers = client.models.generate_content_stream(model="gpt-4o", contents="Hi")
    with pytest.raises(errors.ServerError, match="broken off"):
        list(answers)


def test_tokens_are_counted(client: genai.Client) -> None:
    assert client.models.count_tokens(model="gpt-4o", contents="Hi").total_tokens == 7


def test_texts_are_embedded(gateway: Gateway, client: genai.Client) -> None:
    config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=2)
    answer = client.models.embed_content(model="gemini-embedding-001", contents="Hi", config=config)
    assert [entry.values for entry in answer.embeddings or []] == [[0.5, 0.25]]
    asked = gateway.asked[0]
    assert isinstance(asked, Embeddings)
    assert (asked.inputs, asked.dimensions) == (["Hi"], 2)


def test_models_are_listed_and_told(client: genai.Client) -> None:
    assert [model.name for model in client.models.list()] == ["models/gpt-4o", "models/claude"]
    assert "generateContent" in (client.models.get(model="gpt-4o").supported_actions or [])
