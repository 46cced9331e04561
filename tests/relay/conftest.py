"""One server for the tests of this folder; each test brings its own user, so that charges stay apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from tests import server
from tests.books import Row
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.relay.others import others, stranger
from tests.server import Account, Gateway

__all__ = ["others", "stranger"]  # fixtures

OPENING = 1_000_000  # points of every user here
MODELS = ",".join(
    (
        *("gpt-3.5-turbo", "gpt-3.5-turbo-instruct", "gpt-4o-mini", "text-embedding-3-small", "text-moderation-latest"),
        *("dall-e-2", "dall-e-3", "tts-1", "whisper-1"),
    )
)


@pytest.fixture(scope="module")
def served(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as gateway:
        gateway.add_channel(upstream_process.url, MODELS)
        gateway.wait_until_routed(server.ROOT_TOKEN, "whisper-1")
        yield gateway


@dataclass(frozen=True, slots=True)
class Payer:
    """A caller with OpenAI's clients in hand, and a look at the books."""

    gateway: Gateway
    account: Account
    sdk: Any  # openai.OpenAI, whose types refuse much of what a test has to try

    def sdk_async(self) -> Any:
        """An openai.AsyncOpenAI to be used as `async with`, in the loop of the test."""
        return openai.AsyncOpenAI(api_key=self.sdk.api_key, base_url=str(self.sdk.base_url), max_retries=0, timeout=30)

    @property
    def last(self) -> Row:
        """The log row of the call just made: the only one, or the newest."""
        return self.gateway.books().logs(self.account.id)[-1]

    def charged(self) -> int:
        """Points all calls so far have cost, which user, token, ledger and logs must agree on."""
        books = self.gateway.books()
        books.wait_settled(5)
        books.check()
        return OPENING - books.quota(self.account.id)


@pytest.fixture
def payer(served: Gateway, upstream: FakeUpstream) -> Iterator[Payer]:
    account = served.new_user(OPENING)
    address = f"{served.base_url}/v1"
    with openai.OpenAI(api_key=f"sk-{account.key}", base_url=address, max_retries=0, timeout=30) as sdk:
        yield Payer(served, account, sdk)
