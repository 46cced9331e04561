"""One server for all tests of the wire: a caller can do no lasting harm to it, which is what they are about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import migrated, server
from tests.fake_upstream import FakeUpstream
from tests.server import ROOT_TOKEN, Account, Gateway

MODEL = "gpt-3.5-turbo"


@pytest.fixture(scope="session")
def wired(upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One worker on SQLite, with its usual limits and the model `gpt-3.5-turbo`."""
    folder = tmp_path_factory.mktemp("wired")
    with migrated.copy("sqlite", folder) as database, server.running(database, 1, folder, {}) as made:
        made.add_channel(upstream_process.url, MODEL)
        made.wait_until_routed(ROOT_TOKEN, MODEL)
        yield made


@pytest.fixture(scope="session")
def wired_payer(wired: Gateway) -> Account:
    return wired.new_user(10**12)
