"""A gateway before three models, for programs and SDKs that are no part of this repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from tests import server
from tests.clients import models
from tests.clients.models import Model
from tests.clients.programs import INSTALLED
from tests.databases import Database
from tests.relay.matrix.scenes import Figures
from tests.relay.matrix.upstreams.base import running
from tests.server import Account, Gateway

HERE = Path(__file__).parent
PLENTY = 500_000_000  # points


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What wants programs installed is left out unless it is asked for (`-m clients`).

    LangChain keeps its connections from one test to the next, so all tests here share one loop.
    """
    for item in items:
        if pytest_asyncio.is_async_test(item) and item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    if "clients" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("clients")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@dataclass
class Front:
    """The gateway, the caller and the models by the names of their upstreams."""

    gateway: Gateway
    account: Account
    models: dict[str, Model]
    _seen: int = field(default=0)  # the last log row looked at

    def look_away(self) -> None:
        """Forget what was said and charged so far."""
        for model in self.models.values():
            model.answered.clear()
            model.requests.clear()
            model.violations.clear()
        self.charged()

    def charged(self) -> list[Figures]:
        """What the consume logs since the last look say; each stands beside its entry in the ledger."""
        rows = self.gateway.database.rows(
            "SELECT l.id, l.prompt_tokens, l.completion_tokens, l.quota, -e.amount FROM logs l"
            " JOIN ledger_entries e ON e.reference = l.request_id"
            f" WHERE l.type = 2 AND l.user_id = {self.account.id:d} AND l.id > {self._seen:d} ORDER BY l.id"
        )
        assert all(quota == entered > 0 for _, _, _, quota, entered in rows)
        self._seen = max([self._seen, *(row[0] for row in rows)])
        return [Figures(prompt, completion) for _, prompt, completion, _, _ in rows]


@pytest.fixture(scope="module")
def front(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    made = {kind.name: kind() for kind in models.KINDS}
    with (
        running(list(made.values())),
        server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as gateway,
    ):
        account = gateway.new_user(PLENTY)
        for name, model in made.items():
            fields = {"type": model.channel_type, "name": name, "key": model.key}
            gateway.add_channel(model.url, ",".join(model.models.values()), **fields)
        for model in made.values():
            for served in model.models.values():
                gateway.wait_until_routed(account.key, served)
        yield Front(gateway, account, made)
        gateway.books().wait_settled(10)
        gateway.books().check()


@pytest.fixture(scope="session")
def installed() -> None:
    """The programs are there; they are asked for, so that they are not is a failure."""
    if not (INSTALLED / "node" / "node_modules").is_dir():
        pytest.fail(f"nothing is installed in {INSTALLED}; make test-clients does it")


@pytest.fixture
def benchmark() -> None:
    """LangChain's tests of speed ask for it, and for `vcr`, of plugins that are not loaded."""
    pytest.skip("times only the client")


@pytest.fixture
def vcr() -> None:
    """Nothing is recorded here."""
