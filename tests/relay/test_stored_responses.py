"""Responses that an upstream keeps, with OpenAI's client against a real server and three providers of one model.

Two of the providers keep responses, each its own; the third is one of chat, which keeps nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, ClassVar
from urllib.parse import urlsplit

import openai
import orjson
import pytest

from billing.pricing import Usage
from relay.adapters.openai.channels import adapter_for
from relay.dialects.responses.dialect import ResponsesDialect
from relay.neutral.events import Counted, Event, Finished, FinishReason, Started, TextPiece, fold
from relay.types import Call, Mode
from tests.fake_upstream import FakeUpstream
from tests.relay.conftest import OPENING, Payer
from tests.relay.raw import ask, until
from tests.relay.wire import cases
from tests.server import ROOT_TOKEN, Gateway

MODEL, CHAT_ONLY = "gpt-4.1", "deepseek-chat"


@dataclass
class Keeper:
    """A provider that keeps responses; `kept` by id, `seen` are the requests it got."""

    name: str
    channel: int = 0
    kept: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=count)

    def create(self, body: Any) -> tuple[int, bytes, str]:
        previous = body.get("previous_response_id")
        if previous and previous not in self.kept:
            return 400, b'{"error":{"message":"not here","type":"invalid_request_error","code":"elsewhere"}}', "json"
        made = f"resp_{self.name}{next(self.ids)}"
        events: list[Event] = [
            Started(made, 17),
            TextPiece("Hello"),
            Finished(FinishReason.STOP),
            Counted(Usage(40, 2)),
        ]
        call = Call(Mode.RESPONSES, "", "", "", "", b"", body, body["model"])
        dialect = ResponsesDialect()
        if body.get("store") is not False:
            self.kept[made] = orjson.loads(dialect.whole(call, fold(events)))
        if body.get("stream"):
            writer = dialect.writer(call)
            return 200, b"".join([writer.write(event) for event in events]) + writer.end(), "event-stream"
        return 200, dialect.whole(call, fold(events)), "json"


class Handler(BaseHTTPRequestHandler):
    keeper: ClassVar[Keeper]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        self.keeper.seen.append(("POST", self.path))
        if self.path == "/v1/responses":
            self._answer(*self.keeper.create(orjson.loads(body)))
        else:
            self._kept()

    def do_GET(self) -> None:
        self.keeper.seen.append(("GET", self.path))
        self._kept()

    def do_DELETE(self) -> None:
        self.keeper.seen.append(("DELETE", self.path))
        gone = self.keeper.kept.pop(self.path.rpartition("/")[2], None)
        self._answer(200 if gone else 404, b'{"deleted":true}', "json")

    def _kept(self) -> None:
        _, _, _, wanted, *what = urlsplit(self.path).path.split("/")
        found = self.keeper.kept.get(wanted)
        if found is None or what == ["cancel"]:
            error = {"error": {"message": "Cannot cancel a synchronous response.", "type": "invalid_request_error"}}
            self._answer(400 if found else 404, orjson.dumps(error), "json")
        elif what == ["input_items"]:
            items = {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}
            self._answer(200, orjson.dumps(items), "json")
        else:
            self._answer(200, orjson.dumps(found), "json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", {"json": "application/json", "event-stream": "text/event-stream"}[kind])
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def keepers(served: Gateway, upstream_process: FakeUpstream) -> Iterator[list[Keeper]]:
    keepers = [Keeper("a"), Keeper("b")]
    with ExitStack() as stack:
        for keeper in keepers:
            handler = type("OneHandler", (Handler,), {"keeper": keeper})
            provider = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            threading.Thread(target=provider.serve_forever, daemon=True).start()
            stack.callback(provider.shutdown)
            keeper.channel = served.add_channel(f"http://127.0.0.1:{provider.server_port}", MODEL)
        served.add_channel(upstream_process.url, f"{MODEL},{CHAT_ONLY}", type=36)
        served.wait_until_routed(ROOT_TOKEN, CHAT_ONLY)
        yield keepers


@pytest.fixture
def neighbour(served: Gateway) -> Iterator[Any]:
    """The client of another user."""
    key = f"sk-{served.new_user(OPENING).key}"
    with openai.OpenAI(api_key=key, base_url=f"{served.base_url}/v1", max_retries=0, timeout=30) as sdk:
        yield sdk


def ids_of_both(payer: Payer, keepers: list[Keeper], **more: Any) -> dict[str, str]:
    """A response of this user at each keeper: {keeper's name: id}. Which channel answers is drawn."""
    found: dict[str, str] = {}
    for _ in range(200):
        response = payer.sdk.responses.create(model=MODEL, input="Hi", store=True, **more)
        found[response.id.removeprefix("resp_")[0]] = response.id
        if len(found) == len(keepers):
            return found
    raise AssertionError(f"one of the channels was never drawn: {found}")


def test_what_must_be_kept_goes_to_an_upstream_that_keeps_it(payer: Payer, keepers: list[Keeper]) -> None:
    made = {payer.sdk.responses.create(model=MODEL, input="Hi", store=True).id for _ in range(30)}

    assert made == {one for one in made if one in keepers[0].kept or one in keepers[1].kept}


def test_a_follow_up_goes_to_the_channel_that_has_what_it_follows(payer: Payer, keepers: list[Keeper]) -> None:
    """Of a channel drawn anew each time, eight follow-ups would hit the right one once in 256 runs."""
    for name, response_id in ids_of_both(payer, keepers).items():
        for _ in range(4):
            more = payer.sdk.responses.create(model=MODEL, input="And?", previous_response_id=response_id)
            assert more.id.startswith(f"resp_{name}")


def test_a_follow_up_of_a_stream_and_as_a_stream(payer: Payer, keepers: list[Keeper]) -> None:
    for _ in range(8):
        with payer.sdk.responses.stream(model=MODEL, input="Hi", extra_body={"store": True}) as stream:
            first = stream.get_final_response().id
        events = list(payer.sdk.responses.create(model=MODEL, input="And?", previous_response_id=first, stream=True))
        assert events[-1].response.id[:6] == first[:6]


def test_a_response_can_be_gone_on_from_as_soon_as_its_id_is_told(payer: Payer, keepers: list[Keeper]) -> None:
    with payer.sdk.responses.create(model=MODEL, input="Hi", store=True, stream=True) as stream:
        response_id = next(iter(stream)).response.id
        more = payer.sdk.responses.create(model=MODEL, input="And?", previous_response_id=response_id)

    assert more.id[:6] == response_id[:6]


def test_a_kept_response_can_be_fetched_and_costs_nothing(payer: Payer, keepers: list[Keeper]) -> None:
    response_id = payer.sdk.responses.create(model=MODEL, input="Hi", store=True).id
    before = payer.charged()

    assert payer.sdk.responses.retrieve(response_id, include=["reasoning.encrypted_content"]).output_text == "Hello"
    assert payer.sdk.responses.input_items.list(response_id, limit=5).data == []
    (keeper,) = (one for one in keepers if response_id in one.kept)
    assert keeper.seen[-2:] == [
        ("GET", f"/v1/responses/{response_id}?include%5B%5D=reasoning.encrypted_content"),
        ("GET", f"/v1/responses/{response_id}/input_items?limit=5"),
    ]
    assert payer.charged() == before


def test_what_the_upstream_says_of_a_cancel_is_handed_on(payer: Payer, keepers: list[Keeper]) -> None:
    response_id = payer.sdk.responses.create(model=MODEL, input="Hi", store=True).id

    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        payer.sdk.responses.cancel(response_id)


def test_a_deleted_response_is_gone_here_and_there(payer: Payer, keepers: list[Keeper]) -> None:
    response_id = payer.sdk.responses.create(model=MODEL, input="Hi", store=True).id

    payer.sdk.responses.delete(response_id)

    assert all(response_id not in keeper.kept for keeper in keepers)
    seen = [len(keeper.seen) for keeper in keepers]
    with pytest.raises(openai.NotFoundError, match=f"Response with id '{response_id}' not found"):
        payer.sdk.responses.retrieve(response_id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        payer.sdk.responses.create(model=MODEL, input="And?", previous_response_id=response_id)
    assert [len(keeper.seen) for keeper in keepers] == seen


def refusal(sdk: Any, response_id: str) -> Any:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(model=MODEL, input="And?", previous_response_id=response_id)
    return refused.value.body


def test_another_user_s_response_looks_like_one_that_never_was(
    payer: Payer, neighbour: Any, keepers: list[Keeper]
) -> None:
    theirs = payer.sdk.responses.create(model=MODEL, input="Hi", store=True).id
    seen = [len(keeper.seen) for keeper in keepers]

    for response_id in (theirs, "resp_never"):
        assert refusal(neighbour, response_id) == {
            "message": f"Previous response with id '{response_id}' not found.",
            "type": "invalid_request_error",
            "param": "previous_response_id",
            "code": "previous_response_not_found",
        }
        for act in ("retrieve", "delete", "cancel"):
            with pytest.raises(openai.NotFoundError, match=f"Response with id '{response_id}' not found."):
                getattr(neighbour.responses, act)(response_id)
    assert [len(keeper.seen) for keeper in keepers] == seen
    assert payer.sdk.responses.retrieve(theirs).id == theirs


def test_a_disabled_channel_s_responses_are_not_found_until_it_is_back(payer: Payer, keepers: list[Keeper]) -> None:
    made = ids_of_both(payer, keepers)
    channel, lost, other = keepers[0].channel, made["a"], made["b"]
    payer.gateway.api("PUT", "/api/channel/", json={"id": channel, "status": 2})
    try:
        until(lambda: payer.gateway.call(payer.account.key, "GET", f"/v1/responses/{lost}")[0] == 404)
        assert refusal(payer.sdk, lost)["code"] == "previous_response_not_found"
        assert payer.sdk.responses.retrieve(other).id == other
    finally:
        payer.gateway.api("PUT", "/api/channel/", json={"id": channel, "status": 1})
    until(lambda: payer.gateway.call(payer.account.key, "GET", f"/v1/responses/{lost}")[0] == 200)
    assert payer.sdk.responses.create(model=MODEL, input="And?", previous_response_id=lost).id.startswith("resp_a")


def test_what_is_not_to_be_kept_is_not_noted(payer: Payer, keepers: list[Keeper]) -> None:
    made: list[str] = []
    while len(made) < 2:  # until a provider that keeps responses was drawn; the provider of chat draws its own ids
        response = payer.sdk.responses.create(model=MODEL, input="Hi", store=False)
        made += [response.id] if response.id.startswith(("resp_a", "resp_b")) else []

    for response_id in made:
        assert refusal(payer.sdk, response_id)["code"] == "previous_response_not_found"


@pytest.mark.parametrize(
    "asking",
    [{"previous_response_id": "resp_0"}, {"conversation": "conv_0"}, {"store": True}],
    ids=lambda one: next(iter(one)),
)
def test_where_no_upstream_keeps_anything_it_is_said_so(payer: Payer, keepers: list[Keeper], asking: Any) -> None:
    with pytest.raises(openai.BadRequestError, match=f"can use {next(iter(asking))}: none keeps anything"):
        payer.sdk.responses.create(model=CHAT_ONLY, input="Hi", **asking)

    assert payer.charged() == 0


def test_a_key_that_names_another_channel_does_not_find_it(payer: Payer, keepers: list[Keeper]) -> None:
    with openai.OpenAI(
        api_key=f"sk-{ROOT_TOKEN}-{keepers[0].channel}", base_url=str(payer.sdk.base_url), max_retries=0
    ) as sdk:
        response_id = sdk.responses.create(model=MODEL, input="Hi", store=True).id
        assert sdk.responses.retrieve(response_id).id == response_id
        more = sdk.responses.create(model=MODEL, input="And?", previous_response_id=response_id)
        assert more.id.startswith("resp_a")
    with openai.OpenAI(
        api_key=f"sk-{ROOT_TOKEN}-{keepers[1].channel}", base_url=str(payer.sdk.base_url), max_retries=0
    ) as sdk:
        assert refusal(sdk, response_id)["code"] == "previous_response_not_found"
        with pytest.raises(openai.NotFoundError):
            sdk.responses.retrieve(response_id)


def test_a_request_about_a_response_needs_a_key_and_a_method_that_there_is(payer: Payer, keepers: list[Keeper]) -> None:
    response_id = payer.sdk.responses.create(model=MODEL, input="Hi", store=True).id

    assert ask(payer.gateway, None, f"/v1/responses/{response_id}").status == 401
    for method, path in (("PUT", ""), ("GET", "/cancel"), ("DELETE", "/input_items"), ("GET", "/other")):
        got = ask(payer.gateway, payer.account, f"/v1/responses/{response_id}{path}", method=method)
        assert (got.status, "Invalid URL" in got.error["message"]) == (404, True)


@pytest.mark.usefixtures("keepers")
def test_a_row_is_kept_for_thirty_days(payer: Payer) -> None:
    response_id = payer.sdk.responses.create(model=MODEL, input="Hi", store=True).id
    database = payer.gateway.database
    (row,) = database.rows(f"SELECT digest, created_at FROM stored_responses WHERE user_id = {payer.account.id}")

    assert response_id not in row[0]
    assert abs(row[1] - time.time()) < 60


@pytest.mark.parametrize(
    ("version", "query", "target"),
    [
        ("2024-10-21", "limit=5&api-version=2024-10-21", "?limit=5"),
        ("preview", "limit=5", "?limit=5&api-version=preview"),
        ("v1", "api-version=preview", ""),
    ],
)
def test_azure_is_asked_at_its_v1_address_with_the_caller_s_query_and_our_version(
    version: str, query: str, target: str
) -> None:
    route = cases.route(3, config={"api_version": version}, base_url="https://res.example")

    url = adapter_for(route).url(route, Mode.RESPONSES, "/v1/responses/resp_1/input_items", query, "")

    assert url == f"https://res.example/openai/v1/responses/resp_1/input_items{target}"
