"""Upstreams that fail, stall or say nothing of what they cost, and callers who leave, across dialects.

Every dialect speaks to every protocol: OpenAI's own pair passes bytes, equal pairs are overheard, the rest translated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests import server
from tests.books import Row
from tests.databases import Database
from tests.relay import protocols, stage
from tests.relay.protocols import (
    ANSWER,
    COMPLETION,
    DIALECTS,
    ERRORS,
    PROMPT,
    PROTOCOLS,
    asked,
    ends_whole,
    parts,
    played,
    tells_error,
    text_of,
)
from tests.relay.raw import Got, ask, connected, post, until
from tests.relay.stage import DROP, HANG, Play, Stage
from tests.server import ROOT_TOKEN, Account, Gateway

PURSE = 10**9
TYPES = {"openai": 36, "anthropic": 14, "gemini": 24, "ollama": 30}  # 36: DeepSeek's, which has no Responses API
PATIENCE = 1  # seconds an upstream may be silent
PAIRS = [pytest.param(dialect, protocol, id=f"{dialect}-{protocol}") for dialect in DIALECTS for protocol in PROTOCOLS]
PARTNER = {"openai": "anthropic", "anthropic": "gemini", "gemini": "ollama", "ollama": "openai"}


@dataclass(frozen=True, slots=True)
class House:
    """`model-<protocol>` is served by one channel; `pair-<protocol>` by it and, after a failure, its partner."""

    gateway: Gateway
    stage: Stage

    def ask(self, dialect: str, model: str, account: Account, **members: Any) -> Got:
        path, body = asked(dialect, model, **members)
        return ask(self.gateway, account, path, body)

    def row(self, account: Account) -> Row:
        """The one call's log row, when the books are closed over it."""
        (row,) = until(lambda: self.gateway.books().logs(account.id))
        self.settled()
        return row  # type: ignore[no-any-return]

    def settled(self) -> None:
        self.gateway.books().wait_settled(5)
        self.gateway.books().check()

    def free(self, account: Account) -> None:
        """Nothing was charged, nothing is held."""
        self.settled()
        assert self.gateway.books().logs(account.id) == []
        assert self.gateway.books().quota(account.id) == PURSE


@pytest.fixture(scope="module")
def house(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    settings = {"RELAY_IDLE_TIMEOUT": str(PATIENCE), "RELAY_FIRST_BYTE_TIMEOUT": "2", "RELAY_MAX_ANSWER_MB": "1"}
    with (
        stage.opened() as opened,
        server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as gateway,
    ):
        gateway.operator("option", key="RetryTimes", value="1")
        models = [f"{kind}-{protocol}" for protocol in PROTOCOLS for kind in ("model", "pair")]
        names = [*models, *(f"mapped-{protocol}" for protocol in PROTOCOLS)]
        gateway.operator("option", key="ModelRatio", value=json.dumps(dict.fromkeys(names, 1)))
        gateway.operator("option", key="CompletionRatio", value=json.dumps(dict.fromkeys(names, 2)))
        for protocol, kind in TYPES.items():
            partner = PARTNER[protocol]
            gateway.add_channel(opened.url(protocol), f"model-{protocol}", type=kind, name=protocol)
            for place, one in enumerate((protocol, partner)):
                prompt = f"prompt of {one}"
                mapping = json.dumps({f"pair-{protocol}": f"mapped-{one}"})
                gateway.add_channel(
                    opened.url(one), f"pair-{protocol}", type=TYPES[one], name=f"{protocol}-{place}", priority=-place,
                    model_mapping=mapping, system_prompt=prompt,
                )  # fmt: skip
        gateway.wait_until_routed(ROOT_TOKEN, models[-1])
        yield House(gateway, opened)


@pytest.fixture
def payer(house: House) -> Account:
    return house.gateway.new_user(PURSE)


@pytest.fixture
def healthy(house: House) -> Iterator[None]:
    """Every channel's failures in a row end with the test, so that none is left alone in the next one."""
    yield
    well = house.gateway.new_user(PURSE)
    for protocol in PROTOCOLS:
        house.stage.set(**{protocol: protocols.whole(protocol)})
        assert house.ask("openai", f"pair-{protocol}", well, stream=False).status == 200


@contextmanager
def streaming(house: House, account: Account, dialect: str, model: str, until_seen: bytes) -> Iterator[None]:
    """A stream that is under way, its caller having read up to `until_seen`; then the caller leaves."""
    path, body = asked(dialect, model, stream=True)
    with connected(house.gateway) as wire:
        wire.sendall(post(house.gateway, account, json.dumps(body).encode(), path))
        read = b""
        while until_seen not in read:
            piece = wire.recv(65536)
            assert piece, read
            read += piece
        yield


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_caller_who_leaves_pays_for_what_came_and_the_upstream_is_let_go_at_once(
    house: House, payer: Account, dialect: str, protocol: str
) -> None:
    begin, middle, _ = parts(protocol)
    house.stage.set(**{protocol: played(protocol, *begin, *middle, HANG)})
    left = house.stage.stats.cancelled

    with streaming(house, payer, dialect, f"model-{protocol}", ANSWER[-1].encode()):
        gone = time.time()

    until(lambda: house.stage.stats.cancelled > left, 5)
    assert house.stage.stats.last_cancelled - gone < 1
    row = house.row(payer)
    assert row.estimated
    assert 0 < row.completion_tokens < 10
    assert row.prompt_tokens == PROMPT if protocol == "anthropic" else row.prompt_tokens > 0


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_an_error_at_the_beginning_goes_to_another_channel(
    house: House, payer: Account, dialect: str, protocol: str
) -> None:
    partner = PARTNER[protocol]
    house.stage.set(**{protocol: played(protocol, ERRORS[protocol]), partner: protocols.stream(partner)})

    got = house.ask(dialect, f"pair-{protocol}", payer, stream=True)

    assert house.stage.called == [protocol, partner]
    assert text_of(dialect, got.body) == "".join(ANSWER)
    assert ends_whole(dialect, got.body)
    row = house.row(payer)
    assert (row.prompt_tokens, row.completion_tokens, row.quota) == (PROMPT, COMPLETION, PROMPT + 2 * COMPLETION)
    assert row.model_name == f"mapped-{partner}"


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("failure", ["error", "drop", "end", "stall"])
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_what_fails_before_the_first_word_goes_to_another_channel(
    house: House, payer: Account, dialect: str, protocol: str, failure: str
) -> None:
    partner = PARTNER[protocol]
    begin, _, _ = parts(protocol)
    endings: dict[str, list[Any]] = {"error": [ERRORS[protocol]], "drop": [DROP], "end": [], "stall": [HANG]}
    if protocol == "openai" and dialect == "openai":
        begin = []  # its role chunk is passed on as it is: the answer has begun
    house.stage.set(**{protocol: played(protocol, *begin, 0.05, *endings[failure]), partner: protocols.stream(partner)})

    got = house.ask(dialect, f"pair-{protocol}", payer, stream=True)

    assert house.stage.called == [protocol, partner]
    assert text_of(dialect, got.body) == "".join(ANSWER)
    row = house.row(payer)
    assert (row.quota, row.estimated) == (PROMPT + 2 * COMPLETION, False)


@pytest.mark.parametrize("failure", ["error", "drop", "end", "stall", "torn"])
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_what_fails_in_the_middle_is_told_in_the_callers_dialect_and_costs_what_came(
    house: House, payer: Account, dialect: str, protocol: str, failure: str
) -> None:
    begin, middle, _ = parts(protocol)
    torn = middle[-1][: len(middle[-1]) // 2]
    endings: dict[str, list[Any]] = {
        "error": [ERRORS[protocol]],
        "drop": [DROP],
        "end": [],
        "stall": [HANG],
        "torn": [torn, DROP],
    }
    house.stage.set(**{protocol: played(protocol, *begin, *middle, 0.05, *endings[failure])})

    got = house.ask(dialect, f"model-{protocol}", payer, stream=True)

    assert got.status == 200
    assert tells_error(dialect, got.body), got.body
    assert not ends_whole(dialect, got.body)
    if failure != "error":
        assert text_of_whole_events(dialect, got.body) == "".join(ANSWER)
    row = house.row(payer)
    assert row.estimated
    assert 0 < row.completion_tokens < 10


def text_of_whole_events(dialect: str, body: bytes) -> str:
    """Without the error at the end."""
    events = body.replace(b"\r\n", b"\n").rstrip().split(b"\n\n")
    return text_of(dialect, b"\n\n".join(events[:-1]))


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_an_upstream_that_tells_no_usage_is_never_free(
    house: House, payer: Account, dialect: str, protocol: str, streams: bool
) -> None:
    made = protocols.stream if streams else protocols.whole
    house.stage.set(**{protocol: made(protocol, usage=False)})

    got = house.ask(dialect, f"model-{protocol}", payer, stream=streams)

    assert got.status == 200
    row = house.row(payer)
    assert row.estimated
    assert row.prompt_tokens > 0
    assert 2 <= row.completion_tokens <= 6
    assert row.quota == row.prompt_tokens + 2 * row.completion_tokens


@pytest.mark.parametrize("protocol", ["openai", "anthropic", "ollama"])  # Gemini's has no last word
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_that_is_complete_does_not_wait_for_an_upstream_that_holds_the_line(
    house: House, payer: Account, dialect: str, protocol: str
) -> None:
    begin, middle, end = parts(protocol)
    house.stage.set(**{protocol: played(protocol, *begin, *middle, *end, HANG)})

    got = house.ask(dialect, f"model-{protocol}", payer, stream=True)

    assert text_of(dialect, got.body) == "".join(ANSWER)
    assert ends_whole(dialect, got.body)
    assert house.row(payer).quota == PROMPT + 2 * COMPLETION


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_usage_that_cannot_be_true_is_not_believed_either_when_text_follows_it(
    house: House, payer: Account, dialect: str, protocol: str
) -> None:
    """The last word is the upstream's lie, then more text, then nothing."""
    begin, middle, end = parts(protocol, prompt=10**9, completion=10**9)
    house.stage.set(**{protocol: played(protocol, *begin, *end[:2], *middle, DROP)})

    house.ask(dialect, f"model-{protocol}", payer, stream=True)

    row = house.row(payer)
    assert row.prompt_tokens <= 8_000_000 + 10_000
    assert row.completion_tokens <= 600_000


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_final_429_is_told_in_the_contracts_words(house: House, payer: Account, dialect: str, protocol: str) -> None:
    house.stage.set(**{protocol: Play([b'{"error":{"message":"slow down"}}'], stage.JSON, 429)})

    got = house.ask(dialect, f"model-{protocol}", payer, stream=True)

    assert got.status == 429
    assert "当前分组上游负载已饱和，请稍后再试" in got.error["message"]
    house.free(payer)


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_whole_answer_without_end_is_refused(house: House, payer: Account, dialect: str, protocol: str) -> None:
    house.stage.set(**{protocol: Play([b'{"x":"' + b"x" * (2 << 20) + b'"}'], stage.JSON)})

    got = house.ask(dialect, f"model-{protocol}", payer, stream=False)

    assert got.status == 502
    assert got.error["message"]
    house.free(payer)


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_line_without_end_is_given_up(house: House, payer: Account, dialect: str, protocol: str) -> None:
    begin, middle, _ = parts(protocol)
    opening = b'{"message":{"content":"' if protocol == "ollama" else b'data: {"x":"'
    house.stage.set(**{protocol: played(protocol, *begin, *middle, opening + b"x" * (17 << 20), HANG)})

    got = house.ask(dialect, f"model-{protocol}", payer, stream=True)

    assert tells_error(dialect, got.body[-4000:])
    row = house.row(payer)
    assert 0 < row.completion_tokens < 10


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_the_channel_tried_second_gets_its_own_model_and_prompt(
    house: House, payer: Account, dialect: str, protocol: str
) -> None:
    """Nothing of the first attempt is left in the second, nor in what the caller is shown."""
    partner = PARTNER[protocol]
    house.stage.set(**{protocol: Play([b"{}"], stage.JSON, 500), partner: protocols.whole(partner)})

    got = house.ask(dialect, f"pair-{protocol}", payer, stream=False)

    assert house.stage.called == [protocol, partner]
    for name in (protocol, partner):
        target = next(request.target for who, request in house.stage.seen if who == name)
        sent = json.dumps(house.stage.asked(name))
        other = partner if name == protocol else protocol
        assert f"mapped-{name}" in sent + target
        assert sent.count(f"prompt of {name}") == 1
        assert f"mapped-{other}" not in sent + target
        assert f"prompt of {other}" not in sent
    if dialect != partner:  # else the upstream's bytes
        assert f'"pair-{protocol}"' in got.body.decode()
    row = house.row(payer)
    assert (row.model_name, row.quota) == (f"mapped-{partner}", PROMPT + 2 * COMPLETION)
