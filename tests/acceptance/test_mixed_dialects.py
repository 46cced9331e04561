"""500 calls of three dialects to upstreams of three protocols, whole and streamed, 32 at a time: exact books."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from math import ceil
from typing import Any

import orjson
import pytest

from tests.conftest import MakeGateway
from tests.databases import Database
from tests.load import Answer, Call, Client
from tests.relay import protocols, stage
from tests.relay.protocols import asked, ends_whole
from tests.relay.stage import Play, Stage
from tests.server import Account
from tests.upstream.wire import Reply, Request

pytestmark = [pytest.mark.load, pytest.mark.timeout(120)]

CALLS = 500
AT_A_TIME = 32
OPENING = 10**10
TYPES = {"openai": 36, "anthropic": 14, "gemini": 24}  # 36: DeepSeek's, which speaks OpenAI's protocol
RATIO, COMPLETION_RATIO = 0.3, 4


class Echo(Stage):
    """Answers each call with the usage that its text asks for."""

    async def answer(self, reply: Reply, request: Request) -> None:
        name = request.target.split("/")[1]
        orders = orjson.loads(request.body.split(b"<<")[1].split(b">>")[0].replace(b"\\", b""))
        made = protocols.stream if orders["stream"] else protocols.whole
        play: Play = made(name, prompt=orders["prompt"], completion=orders["completion"])
        await self.perform(play, reply)


@dataclass(frozen=True, slots=True)
class Expected:
    account: Account
    dialect: str
    protocol: str
    stream: bool
    prompt: int
    completion: int

    @property
    def charge(self) -> int:
        return max(1, ceil((self.prompt + self.completion * COMPLETION_RATIO) * 3 / 10))


def mixed(accounts: list[Account]) -> Iterator[Call]:
    dice = random.Random(5)
    for dialect, protocol in _again(list(product(("openai", "anthropic", "gemini"), TYPES))):
        stream = dice.random() < 0.5
        prompt, completion = dice.randint(1, 3000), dice.randint(1, 1500)
        expected = Expected(dice.choice(accounts), dialect, protocol, stream, prompt, completion)
        orders = {"stream": stream, "prompt": prompt, "completion": completion}
        path, body = asked(dialect, f"model-{protocol}", stream=stream, text=f"<<{json.dumps(orders)}>>")
        yield Call(path, body, expected.account.key, about=expected)


def _again(pairs: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    while True:
        yield from pairs


def whole(call: Call, answer: Answer) -> bool:
    expected: Expected = call.about
    if not answer.complete or answer.status != 200:
        return False
    if expected.stream:
        return ends_whole(expected.dialect, answer.body)
    return shown(expected.dialect, answer.json()) == (expected.prompt, expected.completion)


def shown(dialect: str, document: Any) -> tuple[int, int]:
    match dialect:
        case "openai":
            return document["usage"]["prompt_tokens"], document["usage"]["completion_tokens"]
        case "anthropic":
            return document["usage"]["input_tokens"], document["usage"]["output_tokens"]
    counts = document["usageMetadata"]
    return counts["promptTokenCount"], counts["candidatesTokenCount"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_every_point_of_translated_calls_is_in_every_book(database: Database, gateway: MakeGateway) -> None:
    with stage.opened(Echo()) as opened:
        server = gateway(database, 1)
        accounts = [server.new_user(OPENING), server.new_user(OPENING, remain_quota=OPENING // 2)]
        models = [f"model-{protocol}" for protocol in TYPES]
        server.operator("option", key="ModelRatio", value=json.dumps(dict.fromkeys(models, RATIO)))
        server.operator("option", key="CompletionRatio", value=json.dumps(dict.fromkeys(models, COMPLETION_RATIO)))
        channels = {
            protocol: server.add_channel(opened.url(protocol), f"model-{protocol}", type=kind, name=protocol)
            for protocol, kind in TYPES.items()
        }
        server.wait_until_routed(accounts[0].key, models[-1])

        async with Client(server.base_url) as client:
            answered = await client.run(islice(mixed(accounts), CALLS), AT_A_TIME)

    assert Counter(answer.status for _, answer in answered) == {200: CALLS}
    assert [(call.about, answer.body) for call, answer in answered if not whole(call, answer)] == []
    books = server.books()
    books.wait_settled(10)
    books.check()
    rows = {row.request_id: row for account in accounts for row in books.logs(account.id)}
    assert len(rows) == CALLS
    for call, answer in answered:
        row, expected = rows[answer.request_id], call.about
        assert (row.prompt_tokens, row.completion_tokens) == (expected.prompt, expected.completion)
        assert (row.quota, row.channel_id) == (expected.charge, channels[expected.protocol])
        assert (row.is_stream, row.estimated, row.uncollected) == (expected.stream, False, 0)
    for account in accounts:
        spent = sum(call.about.charge for call, _ in answered if call.about.account is account)
        assert books.quota(account.id) == OPENING - spent
