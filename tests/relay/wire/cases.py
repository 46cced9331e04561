"""The wire cases: one exchange of every protocol as both sides see it, and the check that an adapter keeps to it.

`data/*.json`: a client's request in OpenAI's form, the request the upstream must get, what it answers, and what the
client must get. They compare by meaning (providers' contract, 1.8): contents, calls with their arguments parsed, one
id, one finish reason, usage. Members named in `volatile` are not compared; with `binding`, only those named there are.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import pytest

from channels_app.providers import PROVIDERS
from channels_app.snapshot import Route
from relay.adapters.base import Adapter, Job, Outgoing, UpstreamAnswer
from relay.dialects.openai.dialect import OpenAIDialect
from relay.errors import UpstreamError
from relay.neutral.events import Event, Failed, fold
from relay.neutral.request import Media
from relay.types import Call, Head, Mode

Json = dict[str, Any]

DATA = Path(__file__).parent / "data"
DIALECT = OpenAIDialect()
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
KEY_HEADERS = ("api-key", "x-api-key", "x-goog-api-key")
ABSENT = object()


@dataclass(frozen=True, slots=True)
class Case:
    """`document` is the file's JSON; `but` gives a case with other members."""

    name: str
    document: Json

    def __getitem__(self, member: str) -> Any:
        return self.document[member]

    def get(self, member: str, default: Any = None) -> Any:
        return self.document.get(member, default)

    def but(self, **members: Any) -> Case:
        return Case(self.name, {**self.document, **members})

    @property
    def volatile(self) -> list[str]:
        """Paths, without the remarks some carry in brackets."""
        return [path.split(" (")[0] for path in self.get("volatile") or []]

    @property
    def key(self) -> str:
        """The channel's key, as far as the case's headers or configuration show it."""
        headers = {name.lower(): value for name, value in self["upstream_request"]["headers"].items()}
        shown = next((headers[name] for name in KEY_HEADERS if name in headers), None)
        authorization = headers.get("authorization", "").rpartition(" ")[2]
        return str((self.get("config") or {}).get("key") or shown or authorization)

    @property
    def mode(self) -> Mode:
        request = self["openai_request"]
        if "messages" in request:
            return Mode.CHAT
        return Mode.EMBEDDINGS if "input" in request else Mode.IMAGES


def load(name: str) -> Case:
    return Case(name, json.loads((DATA / f"{name}.json").read_text()))


def names(*prefixes: str) -> list[str]:
    """All cases whose names begin so."""
    return sorted(path.stem for path in DATA.glob("*.json") if path.stem.startswith(prefixes))


def call_of(case: Case) -> Call:
    paths = {Mode.CHAT: "chat/completions", Mode.EMBEDDINGS: "embeddings", Mode.IMAGES: "images/generations"}
    path = f"/v1/{paths[case.mode]}"
    head = Head("POST", path, path, "", {"content-type": "application/json"}, "127.0.0.1")
    return DIALECT.read(case.mode, head, orjson.dumps(case["openai_request"]))


def route_of(case: Case, **changes: Any) -> Route:
    """A channel of the case's type with the case's key and configuration."""
    return route(case["channel_type"], case.key, case.get("config") or {}, **changes)


def route(kind: int, key: str = "key-EXAMPLE", config: Json | None = None, **changes: Any) -> Route:
    config = dict(config or {})
    provider = PROVIDERS[kind]
    base_url = config.pop("base_url", "") or provider.base_url
    config.pop("key", None)
    values: Json = {
        "channel_id": 1,
        "type": kind,
        "provider": provider,
        "name": "a channel",
        "key": key,
        "base_url": base_url.rstrip("/"),
        "enabled": True,
        "model_mapping": MappingProxyType({}),
        "config": MappingProxyType(config),
        "system_prompt": "",
        "priority": 0,
        "weight": 0,
        "groups": frozenset({"default"}),
        "proxy": "",
        "refuses_stream_options": False,
    }
    return Route(**{**values, **changes})


def job_of(case: Case, route: Route | None = None) -> Job:
    call = call_of(case)
    return Job(route or route_of(case), call.model, call.model, DIALECT.neutral(call))


@dataclass
class FakeAnswer:
    """The upstream's answer to `Outside.send`, whole in memory."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    sent: bool = False

    async def open(self) -> None:
        self.sent = True

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def read(self, limit: int) -> bytes:
        assert len(self.body) <= limit
        return self.body

    def close(self) -> None:
        self.sent = True


@dataclass
class FakeOutside:
    """Answers from a script of exchanges: each request must be the next one, or that of the token exchange."""

    case: Case
    script: list[tuple[Json, int, bytes]] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    media_by_url: dict[str, Media] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.script:
            first = (self.case["upstream_request"], self.case.get("upstream_status", 200), self._body(self.case))
            later = [(step["upstream_request"], 200, self._body(step)) for step in self.case.get("follow_up", [])]
            self.script = [first, *later]

    @staticmethod
    def _body(step: Any) -> bytes:
        return orjson.dumps(step.get("upstream_response"))

    async def fetch_json(self, outgoing: Outgoing, limit: int = 1024 * 1024) -> tuple[int, bytes]:
        exchange = self.case.get("auth_exchange")
        if exchange and (outgoing.method, outgoing.url) == self._address(exchange["request"]):
            return 200, orjson.dumps(exchange["response"])
        return self._next(outgoing)

    async def token(self, key: str, get: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        return (await get())[0]

    async def media(self, media: Media) -> Media:
        found = self.media_by_url.get(media.url)
        return found or Media(media.kind, data=PIXEL, mime=media.mime or "image/png", detail=media.detail)

    def send(self, outgoing: Outgoing) -> UpstreamAnswer:
        return FakeAnswer(*self._next(outgoing))

    @staticmethod
    def _address(request: Json) -> tuple[str, str]:
        return request.get("method", "POST"), request["url"]

    def _next(self, outgoing: Outgoing) -> tuple[int, bytes]:
        assert self.script, f"one request more than the case has: {outgoing.method} {outgoing.url}"
        request, status, body = self.script.pop(0)
        assert (outgoing.method, outgoing.url) == self._address(request)
        self.outgoing.append(outgoing)
        return status, body


async def check(
    case: Case,
    adapter: Adapter,
    *,
    route: Route | None = None,
    optional: tuple[str, ...] = (),
    outside: FakeOutside | None = None,
    framed: bool = False,
) -> None:
    """The adapter sends what the case says and makes of the upstream's answer what the case says.

    `optional`: dotted paths of the upstream's body that may be present or absent (the case's `request_variants`).
    `framed`: each item of the stream is one message of its own (WebSocket), so chunk borders are not moved.
    """
    await check_request(case, adapter, route=route, optional=optional, outside=outside)
    job = job_of(case, route)
    if "upstream_stream" in case.document:
        check_stream(case, adapter, job, framed)
    else:
        await check_answer(case, adapter, job)


async def check_request(
    case: Case,
    adapter: Adapter,
    *,
    route: Route | None = None,
    optional: tuple[str, ...] = (),
    outside: FakeOutside | None = None,
) -> Outgoing:
    expected = case["upstream_request"]
    outgoing = await adapter.prepare(job_of(case, route), outside or FakeOutside(case))
    assert outgoing.method == expected["method"]
    if "upstream_request.url" not in case.volatile:
        assert outgoing.url == expected["url"]
    headers = {name.lower(): value for name, value in outgoing.headers}
    for name, value in expected["headers"].items():
        if f"upstream_request.headers.{name}" not in case.volatile and name != "Host":
            assert headers.get(name.lower()) == value, name
    if "body" in expected:
        sent, wanted = orjson.loads(outgoing.body), json.loads(json.dumps(expected["body"]))
        for path in optional:
            _drop(sent, path.split("."))
            _drop(wanted, path.split("."))
        assert sent == wanted
    return outgoing


def _drop(document: Any, path: list[str]) -> None:
    for name in path[:-1]:
        document = document.get(name) if isinstance(document, dict) else None
    if isinstance(document, dict):
        document.pop(path[-1], None)


async def check_answer(case: Case, adapter: Adapter, job: Job) -> None:
    status = case.get("upstream_status", 200)
    body = orjson.dumps(case["upstream_response"])
    if "error" in case["openai_response"]:
        if status in (200, 201):
            with pytest.raises(UpstreamError) as caught:
                adapter.read(job, body)
            error = caught.value
        else:
            error = adapter.failure(status, body, None)
        _check_error(case, error)
        return
    if case.get("follow_up"):
        answer = await adapter.open(job, FakeOutside(case))
        assert answer.status == 200
        body = await answer.read(1 << 30)
    read = adapter.read(job, body)
    whole = fold(read) if isinstance(read, list) else read
    compare(case, orjson.loads(DIALECT.whole(call_of(case), whole)), case["openai_response"], "openai_response")


def _check_error(case: Case, error: UpstreamError) -> None:
    document = error.body("REQUEST")
    document["error"]["message"] = document["error"]["message"].removesuffix(" (request id: REQUEST)")
    actual = {"openai_status": error.status, "openai_response": document}
    for path in case.get("binding") or ["openai_response.error.message"]:
        assert _at(actual, path) == _at(case.document, path), path


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document[name]
    return document


def stream_items(case: Case) -> list[bytes]:
    if "upstream_stream_encoding" in case.document:
        return [base64.b64decode(item) for item in case["upstream_stream"]]
    return [line.encode() + b"\n" for line in case["upstream_stream"]]


def portions(items: list[bytes]) -> Iterator[list[bytes]]:
    """The same bytes with other borders: as they are, at once, in sevens, and one by one."""
    whole = b"".join(items)
    yield items
    yield [whole]
    yield [whole[start : start + 7] for start in range(0, len(whole), 7)]
    yield [whole[start : start + 1] for start in range(len(whole))]


def events_of(adapter: Adapter, job: Job, portions: list[bytes]) -> list[Event]:
    reader = adapter.reader(job)
    events = [event for portion in portions for event in reader.feed(portion)]
    return events + reader.close()


def check_stream(case: Case, adapter: Adapter, job: Job, framed: bool = False) -> None:
    items = [line.rstrip(b"\n") for line in stream_items(case)] if framed else stream_items(case)
    for borders in [items] if framed else portions(items):
        chunks = _written(case, events_of(adapter, job, borders))
        compare(case, joined(chunks), joined(case["openai_stream"]), "openai_stream[*]")


def _written(case: Case, events: list[Event]) -> list[Json]:
    """The chunks a client gets, checked for the form of a stream."""
    for event in events:
        if isinstance(event, Failed):
            raise event.error
    writer = DIALECT.writer(call_of(case))
    payloads = (b"".join([writer.write(event) for event in events]) + writer.end()).split(b"\n\n")
    assert payloads[-2:] == [b"data: [DONE]", b""]
    chunks: list[Json] = [orjson.loads(payload.removeprefix(b"data: ")) for payload in payloads[:-2]]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert len({chunk["created"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    finishes = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert len(finishes) == len({choice["index"] for chunk in chunks for choice in chunk["choices"]})
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    return chunks


def joined(chunks: list[Json]) -> Json:
    """The chunks of a stream as the answer they amount to."""
    choices: dict[int, Json] = {}
    answer: Json = {name: chunks[0][name] for name in ("id", "created", "model")}
    for chunk in chunks:
        answer |= {"usage": chunk["usage"]} if chunk.get("usage") else {}
        for part in chunk["choices"]:
            choice = choices.setdefault(
                part["index"], {"index": part["index"], "message": {}, "finish_reason": None, "calls": {}}
            )
            choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
            delta = part["delta"]
            for name in ("content", "reasoning_content", "refusal"):
                if delta.get(name):
                    choice["message"][name] = choice["message"].get(name, "") + delta[name]
            for called in delta.get("tool_calls") or []:
                call = choice["calls"].setdefault(called["index"], {"arguments": ""})
                call |= {name: called[name] for name in ("id", "extra_content") if name in called}
                function = called.get("function", {})
                call |= {"name": function["name"]} if "name" in function else {}
                call["arguments"] += function.get("arguments", "")
    for choice in choices.values():
        calls = choice.pop("calls")
        choice["message"]["tool_calls"] = [
            {
                "id": call["id"],
                "function": {"name": call["name"], "arguments": call["arguments"]},
                **({"extra_content": call["extra_content"]} if "extra_content" in call else {}),
            }
            for _, call in sorted(calls.items())
        ]
    return {**answer, "choices": [choices[index] for index in sorted(choices)]}


def compare(case: Case, actual: Json, expected: Json, root: str) -> None:
    """By meaning; see the module's docstring."""
    volatile = {path.removeprefix(root + ".") for path in case.volatile}
    loose_ids = any("tool_calls" in path and path.endswith(".id") for path in case.volatile)
    assert _meaning(actual, volatile, loose_ids) == _meaning(expected, volatile, loose_ids)


def _meaning(document: Json, volatile: set[str], loose_ids: bool) -> Json:
    meaning: Json = {
        name: document[name] for name in ("id", "created", "model", "data") if name in document and name not in volatile
    }
    if "usage" in document and "usage" not in volatile:
        meaning["usage"] = _usage(document["usage"])
    if "choices" in document:
        meaning["choices"] = [_choice(choice, loose_ids) for choice in document["choices"]]
    return meaning


def _usage(usage: Json) -> Json:
    """Details that are zero say nothing."""
    meaning: Json = {}
    for name, value in usage.items():
        if not isinstance(value, dict):
            meaning[name] = value
        elif told := {detail: tokens for detail, tokens in value.items() if tokens}:
            meaning[name] = told
    return meaning


def _choice(choice: Json, loose_ids: bool) -> Json:
    message = choice["message"]
    return {
        "index": choice["index"],
        "finish_reason": choice["finish_reason"],
        "content": message.get("content") or "",
        "reasoning_content": message.get("reasoning_content") or "",
        "refusal": message.get("refusal") or "",
        "tool_calls": [
            {
                "id": "any" if loose_ids else call["id"],
                "name": call["function"]["name"],
                "arguments": json.loads(call["function"]["arguments"]),
                "extra_content": call.get("extra_content"),
            }
            for call in message.get("tool_calls") or []
        ],
    }
