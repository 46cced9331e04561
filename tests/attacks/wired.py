"""One server for all tests of the wire: a caller can do no lasting harm to it, which is what they are about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import migrated, server
from tests.fake_upstream import FakeUpstream
from tests.relay.raw import ask, chat
from tests.server import ROOT_TOKEN, Account, Gateway

MODEL = "gpt-3.5-turbo"
OTHER = "gpt-4o"  # of another vocabulary


@pytest.fixture(scope="session")
def wired(upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One worker on SQLite, with its usual limits and the model `gpt-3.5-turbo`, its vocabularies built."""
    folder = tmp_path_factory.mktemp("wired")
    with migrated.copy("sqlite", folder) as database, server.running(database, 1, folder, {}) as made:
        made.add_channel(upstream_process.url, f"{MODEL},{OTHER}")
        made.wait_until_routed(ROOT_TOKEN, MODEL)
        # Who counts tokens waits for their building, or its 110 MiB would be put down to whatever runs meanwhile.
        counting = made.new_user(10**9)
        for model in (MODEL, OTHER):
            assert ask(made, counting, "/v1/messages/count_tokens", chat(model, max_tokens=1)).status == 200
        yield made


@pytest.fixture(scope="session")
def wired_payer(wired: Gateway) -> Account:
    return wired.new_user(10**12)
