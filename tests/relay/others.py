"""One server before upstreams of four protocols, scripted byte by byte, for callers of four dialects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests import server
from tests.books import Row
from tests.databases import Database
from tests.relay import stage
from tests.relay.protocols import PROTOCOLS, asked
from tests.relay.raw import Got, ask, until
from tests.relay.stage import Stage
from tests.server import ROOT_TOKEN, Account, Gateway

PURSE = 10**9
TYPES = {"openai": 36, "anthropic": 14, "gemini": 24, "ollama": 30}  # 36: DeepSeek's, which has no Responses API
PATIENCE = 2  # seconds an upstream may be silent
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
def others(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    # Another channel is tried for as long as the first byte may take, so that must leave room for one that stalls.
    limits = {"RELAY_IDLE_TIMEOUT": str(PATIENCE), "RELAY_FIRST_BYTE_TIMEOUT": str(3 * PATIENCE)}
    with (
        stage.opened() as opened,
        server.running(
            module_database, 1, tmp_path_factory.mktemp("gateway"), {**limits, "RELAY_MAX_ANSWER_MB": "1"}
        ) as gateway,
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
def stranger(others: House) -> Account:
    return others.gateway.new_user(PURSE)
