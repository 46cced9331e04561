"""A channel's key that its upstream quotes in an error reaches neither a caller nor the log (real server)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests import server
from tests.databases import Database
from tests.relay import stage
from tests.relay.others import TYPES
from tests.relay.protocols import DIALECTS, ERRORS, PROTOCOLS, asked, parts, played
from tests.relay.raw import Got, ask
from tests.relay.stage import JSON, Play, Stage
from tests.server import ROOT_TOKEN, Account, Gateway

KEY = "0f3a9c1d7e5b48268a91c4d2e7f60b35"  # nothing in it says that it is one
QUOTED = f"The key {KEY} is not known here"


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    stage: Stage

    def ask(self, dialect: str, protocol: str, account: Account, *, stream: bool) -> Got:
        path, body = asked(dialect, f"model-{protocol}", stream=stream)
        return ask(self.gateway, account, path, body)

    @property
    def log(self) -> str:
        files = [self.gateway.output, *(self.gateway.folder / "logs").iterdir()]
        return "".join(file.read_text(errors="replace") for file in files)


@pytest.fixture(scope="module")
def house(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with (
        stage.opened() as opened,
        server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as gateway,
    ):
        models = [f"model-{protocol}" for protocol in PROTOCOLS]
        gateway.operator("option", key="ModelRatio", value=json.dumps(dict.fromkeys(models, 1)))
        for protocol in PROTOCOLS:
            gateway.add_channel(opened.url(protocol), f"model-{protocol}", type=TYPES[protocol], key=KEY)
        gateway.wait_until_routed(ROOT_TOKEN, models[-1])
        yield House(gateway, opened)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_that_quotes_the_key_is_told_without_it(house: House, protocol: str, streamed: bool) -> None:
    refusal = {"error": {"type": "invalid_request_error", "message": QUOTED, "code": None}}
    house.stage.set(**{protocol: Play([json.dumps(refusal).encode()], JSON, 400)})
    caller = house.gateway.new_user(10**9)

    told = house.ask("openai", protocol, caller, stream=streamed)

    assert told.status == 400
    assert told.error["message"].startswith("The key [key] is not known here")
    assert KEY not in house.log
    assert "The key [key] is not known here" in house.log


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_in_the_middle_of_a_stream_is_told_without_the_key(house: House, dialect: str, protocol: str) -> None:
    begin, middle, _ = parts(protocol)
    error = ERRORS[protocol].replace(b"Overloaded", QUOTED.encode())
    house.stage.set(**{protocol: played(protocol, *begin, *middle, error)})
    caller = house.gateway.new_user(10**9)

    told = house.ask(dialect, protocol, caller, stream=True)

    assert told.status == 200
    assert b"Hello" in told.body
    assert b"The key [key] is not known here" in told.body
    assert KEY.encode() not in told.body
    assert KEY not in house.log
