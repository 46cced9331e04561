"""No request and no bytes of an upstream make any protocol fail in an unforeseen way.

Whatever OpenAI's clients may send, and whatever a dialect can read, is sent or refused as the caller's mistake;
whatever an upstream sends is an answer or an error of the upstream, and the same one wherever the borders of its chunks
lie. The protocols are those of the registry, so that a new one is tried by being there.
"""

from __future__ import annotations

import asyncio
import json
import re
from itertools import pairwise
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_app.providers import PROVIDERS, Provider
from relay.adapters.base import Job, Outgoing, Read, UpstreamAnswer
from relay.adapters.registry import ADAPTERS
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Event, Failed, fold
from relay.neutral.request import Chat, Embeddings, Images, Request, Rerank
from relay.outside import Credentials, Outside
from relay.sse import EventTooLong
from relay.types import Call, Head, Mode
from relay.user_content import Content, UserContent
from tests.relay.adapters.vendors import HELLO, PIXEL
from tests.relay.wire import strategies
from tests.relay.wire.cases import DIALECT, Json, load, names, route, stream_items

each_protocol = pytest.mark.parametrize("protocol", sorted(ADAPTERS))
bounded = settings(deadline=None, max_examples=50, derandomize=True)

# By kind of request: the mode and path of OpenAI's dialect, its documents, requests in the neutral form, a plain one.
PATHS: dict[type[Request], tuple[Mode, str]] = {
    Chat: (Mode.CHAT, "/v1/chat/completions"),
    Embeddings: (Mode.EMBEDDINGS, "/v1/embeddings"),
    Images: (Mode.IMAGES, "/v1/images/generations"),
}
DOCUMENTS: dict[type[Request], st.SearchStrategy[Json]] = {
    Chat: strategies.chat_documents(),
    Embeddings: strategies.embeddings_documents,
    Images: strategies.images_documents,
}
NEUTRAL: dict[type[Request], st.SearchStrategy[Request]] = {
    Chat: strategies.chats(),
    Embeddings: strategies.embeddings,
    Images: strategies.pictures,
    Rerank: strategies.rankings,
}
PLAIN: dict[type[Request], Request] = {
    Chat: Chat(HELLO, stream=True),
    Embeddings: Embeddings(["a"]),
    Images: Images("a cat"),
    Rerank: Rerank("q", ["a", "b"]),
}
# What a row cannot tell: a credential that its adapter takes apart further than the row's pattern says.
ACCOUNT = {"type": "authorized_user", "client_id": "C", "client_secret": "S", "refresh_token": "1//R"}
CONFIG = {"region": "us-east-1", "vertex_ai_adc": json.dumps(ACCOUNT)}
# Names by which some adapters choose among several protocols.
FAMILIES = (
    *("gpt-5", "claude-sonnet-4-6", "gemini-2.5-flash", "meta/llama-4-maverick-17b-128e-instruct-maas"),
    *("text-embedding-005", "gemini-embedding-2", "chatglm_turbo", "amazon.nova-2-lite-v1:0"),
    "us.meta.llama3-3-70b-instruct-v1:0",
)
# What a channel's `api_version` may say where that chooses another protocol.
VERSIONS = {"bedrock-converse": ("converse", "invoke"), "cohere-v2": ("v2", "v1")}


class Contents:
    """Every web address holds a picture, but for the one that is gone."""

    async def fetch(self, url: str, kind: str) -> Content:
        if not url.startswith("https://"):
            raise BadRequest("there is nothing at this address")
        return Content(PIXEL, "image/png")


class World(Outside):
    """The relay's own, but nothing leaves this process: side calls are answered with a token."""

    def __init__(self) -> None:
        super().__init__(cast("Any", None), Credentials(), cast("UserContent", Contents()), "")

    async def fetch_json(self, outgoing: Outgoing, limit: int = 1024 * 1024) -> tuple[int, bytes]:
        return 200, b'{"access_token": "T", "expires_in": 3600}'

    def send(self, outgoing: Outgoing) -> UpstreamAnswer:  # type: ignore[override]
        raise AssertionError("a request is prepared, and not sent")


def row_of(protocol: str) -> Provider:
    return next(row for row in PROVIDERS.values() if row.protocol == protocol)


def models_of(protocol: str) -> st.SearchStrategy[str]:
    families = st.sampled_from(FAMILIES)
    listed = row_of(protocol).models
    return st.sampled_from(listed) | families if listed else families


def versions_of(protocol: str) -> st.SearchStrategy[str]:
    return st.sampled_from(VERSIONS.get(protocol, ("x",)))


def job_of(protocol: str, model: str, request: Request, version: str = "x") -> Job:
    row = row_of(protocol)
    config = {**CONFIG, "api_version": version}
    members = {box.name: config.get(box.name, "x") for box in row.config_fields if box.name != "base_url"}
    on = route(row.id, row.key_format, {"base_url": row.base_url or "https://upstream.example", **members})
    return Job(on, model, model, request)


def prepared(protocol: str, model: str, request: Request, version: str = "x") -> Outgoing:
    async def prepare() -> Outgoing:
        adapter, world = ADAPTERS[protocol], World()
        await world.with_media(request, adapter)
        return await adapter.prepare(job_of(protocol, model, request, version), world)

    return asyncio.run(prepare())


def call_of(kind: type[Request], document: Json) -> Call:
    mode, path = PATHS[kind]
    head = Head("POST", path, path, "", {"content-type": "application/json"}, "127.0.0.1")
    return DIALECT.read(mode, head, orjson.dumps(document))


@each_protocol
def test_a_plain_conversation_is_sent_with_the_credentials_of_these_tests(protocol: str) -> None:
    """Else the tests below would try nothing but the refusal of a wrong key."""
    for version in VERSIONS.get(protocol, ("x",)):
        sent = []
        for model in (*row_of(protocol).models, *FAMILIES):
            try:
                sent.append(prepared(protocol, model, Chat(HELLO, stream=True), version))
            except (BadRequest, UpstreamError):
                continue
        assert sent


@each_protocol
@bounded
@given(data=st.data())
def test_what_openais_clients_send_is_sent_on_or_refused(protocol: str, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([kind for kind in ADAPTERS[protocol].requests if kind in DOCUMENTS]))
    model = data.draw(models_of(protocol))
    call = call_of(kind, {"model": model, **data.draw(DOCUMENTS[kind])})
    try:
        outgoing = prepared(protocol, model, DIALECT.neutral(call), data.draw(versions_of(protocol)))
    except (BadRequest, UpstreamError):
        return
    assert isinstance(orjson.loads(outgoing.body), dict)


@each_protocol
@bounded
@given(data=st.data())
def test_what_any_dialect_reads_is_sent_on_or_refused(protocol: str, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(ADAPTERS[protocol].requests))
    model = data.draw(models_of(protocol))
    try:
        outgoing = prepared(protocol, model, data.draw(NEUTRAL[kind]), data.draw(versions_of(protocol)))
    except (BadRequest, UpstreamError):
        return
    assert isinstance(orjson.loads(outgoing.body), dict)


def _recorded() -> tuple[dict[str, list[bytes]], dict[str, list[bytes]]]:
    """(streams, whole answers) of the wire cases, by protocol."""
    streams: dict[str, list[bytes]] = {}
    answers: dict[str, list[bytes]] = {}
    for case in map(load, names("")):
        protocol = PROVIDERS[case["channel_type"]].protocol
        if "upstream_stream" in case.document:
            streams.setdefault(protocol, []).append(b"".join(stream_items(case)))
        if "upstream_response" in case.document:
            answers.setdefault(protocol, []).append(orjson.dumps(case["upstream_response"]))
    return streams, answers


STREAMS, ANSWERS = _recorded()
VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"(?!:)|-?\d+(?:\.\d+)?|true|false|null|[{}\[\]]')
ODD = [
    b"null",
    b"[]",
    b"{}",
    b"[null]",
    b'{"message":null}',
    b"-1",
    b"1e300",
    b"1e999",
    b"true",
    b'""',
    b'"stop"',
    b"7",
]


@st.composite
def mangled(draw: st.DrawFn, recorded: list[bytes]) -> bytes:
    """What was recorded, with other values in some places, and now and then cut, doubled or full of rubbish."""
    sent = draw(st.sampled_from(recorded))
    for _ in range(draw(st.sampled_from([1, 0, 1, 2]))):
        if values := list(VALUE.finditer(sent)):
            start, end = draw(st.sampled_from(values)).span()
            sent = sent[:start] + draw(st.sampled_from(ODD)) + sent[end:]
    if draw(st.sampled_from([False, False, False, True])):
        start, end = sorted((draw(st.integers(0, len(sent))), draw(st.integers(0, len(sent)))))
        piece = draw(st.binary(max_size=40) | st.just(sent[start:end] * 2))
        sent = sent[:start] + piece + sent[end:]
    return sent


@st.composite
def cut(draw: st.DrawFn, sent: bytes) -> list[bytes]:
    """The same bytes, in chunks of any sizes, empty ones included."""
    places = draw(st.lists(st.integers(0, len(sent)), max_size=12))
    return [sent[start:end] for start, end in pairwise([0, *sorted(places), len(sent)])]


def sent_by(protocol: str, recorded: dict[str, list[bytes]]) -> st.SearchStrategy[bytes]:
    """Mostly its own answers, mangled, where some are recorded; those of all other protocols, and random bytes."""
    others = [sent for group in recorded.values() for sent in group]
    own = mangled(recorded.get(protocol) or others)
    rubbish = strategies.portions().map(b"".join)
    return st.sampled_from([own, own, own, mangled(others), rubbish]).flatmap(lambda chosen: chosen)


def events_of(protocol: str, model: str, version: str, chunks: list[bytes]) -> list[Event]:
    reader = ADAPTERS[protocol].reader(job_of(protocol, model, PLAIN[Chat], version))
    events: list[Event] = []
    for chunk in chunks:
        events += reader.feed(chunk)
    return events + reader.close()


def told(events: list[Event]) -> list[str]:
    """Calls without an id get a random one, and every failure is an error of its own."""
    return [
        f"{event.error.status} {event.error.message}"
        if isinstance(event, Failed)
        else re.sub(r"[0-9a-f]{24}", "random", repr(event))
        for event in events
    ]


@each_protocol
@bounded
@given(data=st.data())
def test_whatever_streams_in_is_read_alike_wherever_its_chunks_end(protocol: str, data: st.DataObject) -> None:
    sent, model = data.draw(sent_by(protocol, STREAMS)), data.draw(models_of(protocol))
    version = data.draw(versions_of(protocol))
    try:
        events = events_of(protocol, model, version, [sent])
    except EventTooLong:
        return
    size = data.draw(st.integers(1, 9))
    pieces = [sent[start : start + size] for start in range(0, len(sent), size)]
    for chunks in (pieces, data.draw(cut(sent))):
        assert told(events_of(protocol, model, version, chunks)) == told(events)

    assert not any(isinstance(event, Failed) for event in events[:-1])
    if not any(isinstance(event, Failed) for event in events):
        fold(events)
    writer = DIALECT.writer(
        call_of(Chat, {"model": "m", "stream": True, "messages": [{"role": "user", "content": "a"}]})
    )
    for event in events:
        writer.write(event)


@each_protocol
@bounded
@given(data=st.data())
def test_whatever_is_answered_is_an_answer_or_an_error_of_the_upstream(protocol: str, data: st.DataObject) -> None:
    adapter, body = ADAPTERS[protocol], data.draw(sent_by(protocol, ANSWERS))
    request = PLAIN[data.draw(st.sampled_from(adapter.requests))]
    job = job_of(protocol, data.draw(models_of(protocol)), request, data.draw(versions_of(protocol)))

    assert isinstance(adapter.failure(data.draw(st.sampled_from([400, 429, 500, 302])), body, None), UpstreamError)
    try:
        read: Read = adapter.read(job, body)
        if isinstance(read, list):
            fold(read)
    except UpstreamError:
        return
