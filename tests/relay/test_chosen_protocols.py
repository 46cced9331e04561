"""A channel's `api_version` chooses what is spoken, and what is charged is what that protocol counted (real server)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests import server
from tests.books import Row
from tests.databases import Database
from tests.relay import stage
from tests.relay.protocols import DIALECTS, asked, ends_whole, text_of
from tests.relay.raw import Got, ask, until
from tests.relay.stage import HANG, JSON, Play, Stage
from tests.relay.wire.cases import load
from tests.server import ROOT_TOKEN, Account, Gateway

PURSE = 10**9
PAIR = {"region": "us-east-1", "ak": "AKIDEXAMPLE", "sk": "SECRET"}
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
# By wire case: type of the channel, its boxes, the model, where it is asked for.
CHOSEN = {
    "bedrock_invoke": (33, {**PAIR, "api_version": "invoke"}, CLAUDE),
    "cohere_v1": (35, {"api_version": "v1"}, "command-r-08-2024"),
}
PATHS = {
    ("bedrock_invoke", False): f"/model/{CLAUDE.replace(':', '%3A')}/invoke",
    ("bedrock_invoke", True): f"/model/{CLAUDE.replace(':', '%3A')}/invoke-with-response-stream",
    ("cohere_v1", False): "/v1/chat",
    ("cohere_v1", True): "/v1/chat",
}
SAID = {
    ("bedrock_invoke", False): ("Hi!", 11, 5),
    ("bedrock_invoke", True): ("Hey.", 8, 5),
    ("cohere_v1", False): ("Nothing new.", 88, 3),
    ("cohere_v1", True): ("Hello", 67, 2),
}


def played(name: str, *, stream: bool) -> Play:
    """What the wire case says the upstream answers; a stream holds the line when all is said."""
    case = load(f"{name}_{'stream' if stream else 'chat'}")
    if not stream:
        return Play([json.dumps(case["upstream_response"]).encode()], JSON)
    if "upstream_stream_encoding" in case.document:
        pieces = [base64.b64decode(frame) for frame in case["upstream_stream"]]
        return Play([*pieces, HANG], "application/vnd.amazon.eventstream")
    return Play([*(line.encode() + b"\n" for line in case["upstream_stream"]), HANG], "application/stream+json")


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    stage: Stage

    def ask(self, dialect: str, name: str, account: Account, *, stream: bool) -> Got:
        path, body = asked(dialect, CHOSEN[name][2], stream=stream)
        return ask(self.gateway, account, path, body)

    def row(self, account: Account) -> Row:
        (row,) = until(lambda: self.gateway.books().logs(account.id))
        self.gateway.books().wait_settled(5)
        self.gateway.books().check()
        return row  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def house(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with (
        stage.opened() as opened,
        server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as gateway,
    ):
        models = [model for _, _, model in CHOSEN.values()]
        gateway.operator("option", key="ModelRatio", value=json.dumps(dict.fromkeys(models, 1)))
        gateway.operator("option", key="CompletionRatio", value=json.dumps(dict.fromkeys(models, 2)))
        for name, (kind, config, model) in CHOSEN.items():
            gateway.add_channel(opened.url(name), model, type=kind, name=name, config=json.dumps(config))
        gateway.wait_until_routed(ROOT_TOKEN, models[-1])
        yield House(gateway, opened)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_protocol_chosen_is_spoken_and_its_figures_are_charged(
    house: House, dialect: str, name: str, stream: bool
) -> None:
    account = house.gateway.new_user(PURSE)
    house.stage.set(**{name: played(name, stream=stream)})
    text, prompt, completion = SAID[name, stream]

    got = house.ask(dialect, name, account, stream=stream)

    assert got.status == 200
    if stream:
        assert text_of(dialect, got.body) == text
        assert ends_whole(dialect, got.body)
    else:
        assert text in json.dumps(got.json(), ensure_ascii=False)
    [(_, request)] = house.stage.seen
    assert request.target == f"/{name}{PATHS[name, stream]}"
    row = house.row(account)
    assert (row.prompt_tokens, row.completion_tokens, row.estimated) == (prompt, completion, False)
    assert row.quota == prompt + 2 * completion
