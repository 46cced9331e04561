"""One gateway before all upstreams of the matrix, and one caller with every SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import pytest

from tests import server
from tests.databases import Database
from tests.relay.matrix import clients, upstreams
from tests.relay.matrix.clients import Client
from tests.relay.matrix.scenes import Figures
from tests.relay.matrix.upstreams import Upstream
from tests.relay.matrix.upstreams.base import running
from tests.server import Account, Gateway

PLENTY = 500_000_000  # points
# What an operator has set for every model here. Thoughts cost what other generated tokens do.
PRICES = {"ModelRatio": "2.5", "CompletionRatio": "4", "CacheRatio": "0.1", "CacheWriteRatio": "1.25"}


@dataclass(frozen=True, slots=True)
class Charged:
    """One consume log, and the ledger's entry of the same call."""

    figures: Figures
    quota: int
    ledger: int
    channel_id: int
    model: str
    is_stream: bool
    estimated: bool


@dataclass
class Matrix:
    gateway: Gateway
    account: Account
    clients: dict[str, Client]
    upstreams: dict[str, Upstream]
    channels: dict[str, int] = field(default_factory=dict)
    _seen: int = 0  # the last log row looked at

    def charged(self) -> list[Charged]:
        """The calls since the last look, oldest first. What is answered is in the books."""
        rows = self.gateway.database.rows(
            "SELECT l.id, l.prompt_tokens, l.completion_tokens, l.usage_details, l.quota, -e.amount, l.channel_id,"
            " l.model_name, l.is_stream, l.estimated FROM logs l JOIN ledger_entries e ON e.reference = l.request_id"
            f" WHERE l.type = 2 AND l.user_id = {self.account.id:d} AND l.id > {self._seen:d} ORDER BY l.id"
        )
        found = []
        for number, prompt, completion, details, *rest in rows:
            parts = json.loads(details or "{}")
            apart = (parts.pop("cached", 0), parts.pop("cache_write", 0), parts.pop("reasoning", 0))
            assert not parts, parts
            found.append(Charged(Figures(prompt, completion, *apart), *rest))
            self._seen = number
        return found


def price(figures: Figures) -> int:
    """The formula of docs/pricing.md, in fractions and without the project's own arithmetic."""
    ratio = {name: Fraction(value) for name, value in PRICES.items()}
    plain = figures.prompt - figures.cached - figures.written
    tokens = plain + figures.cached * ratio["CacheRatio"] + figures.written * ratio["CacheWriteRatio"]
    return ceil((tokens + figures.completion * ratio["CompletionRatio"]) * ratio["ModelRatio"])


@pytest.fixture(scope="module")
def matrix(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    made = {upstream.name: upstream for upstream in (kind() for kind in upstreams.KINDS)}
    with (
        running(list(made.values())),
        server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as gateway,
    ):
        account = gateway.new_user(PLENTY)
        callers = {kind.name: kind(gateway.base_url, f"sk-{account.key}") for kind in clients.KINDS}
        matrix = Matrix(gateway, account, callers, made)
        models = [model for upstream in made.values() for model in (*upstream.models.values(), *upstream.others)]
        for name, ratio in PRICES.items():
            gateway.operator("option", key=name, value=json.dumps(dict.fromkeys(models, float(ratio))))
        for name, upstream in made.items():
            config = json.dumps(dict(upstream.settings()))
            fields = {"type": upstream.channel_type, "name": name, "key": upstream.key, "config": config}
            matrix.channels[name] = gateway.add_channel(
                upstream.url, ",".join({*upstream.models.values(), *upstream.others}), **fields
            )
        for model in models:
            gateway.wait_until_routed(account.key, model)
        yield matrix
        for caller in callers.values():
            caller.close()
        gateway.books().wait_settled(10)
        gateway.books().check()
