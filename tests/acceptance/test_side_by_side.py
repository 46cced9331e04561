"""A rolling upgrade: a node of the version before and one of this version on one database, and the books are exact."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from tests.acceptance.traffic import MODELS, charge, mixed
from tests.conftest import see_that_it_answers
from tests.databases import Database, fresh
from tests.fake_upstream import FakeUpstream, in_text
from tests.load import Answer, Call, Client
from tests.server import HOLD_TTL, ROOT, ROOT_TOKEN, Account, Gateway

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

BEFORE = "b42f52e"  # the last commit before nodes were made to run beside each other
CALLS, AT_A_TIME = 200, 8  # to each node
PIECES, PACE = 8, 1000 * (HOLD_TTL + 3) // 8  # of a stream that is longer than a dead worker's holds last
OPENING = 10**10


@pytest.fixture(scope="module")
def code_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    asked = ["git", "cat-file", "-e", f"{BEFORE}^{{commit}}"]
    if subprocess.run(asked, cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip(f"the history here does not reach back to {BEFORE}")
    folder = tmp_path_factory.mktemp("before")
    archive = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    return folder


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    see_that_it_answers("postgres")
    with fresh("postgres", tmp_path_factory.mktemp("database")) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Sides:
    before: Gateway
    now: Gateway


@pytest.fixture(scope="module")
def sides(code_before: Path, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    """The version before made the tables, and goes on running while this one brings them up to date."""
    before = Gateway(database, 1, tmp_path_factory.mktemp("old-node"), root=code_before)
    now = Gateway(database, 1, tmp_path_factory.mktemp("new-node"))
    try:
        before.start()
        now.start()
        yield Sides(before, now)
    finally:
        before.close()
        now.close()


async def served(node: Gateway, accounts: list[Account], seed: int) -> dict[str, int]:
    """What answered calls to one node must cost, by request id: many short ones beside one long stream."""
    orders = in_text(usage=[100, 40], events=PIECES, pace=PACE)
    body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": orders}]}
    async with Client(node.base_url) as client:
        stream = asyncio.create_task(client.send(Call("/v1/chat/completions", body, accounts[0].key)))
        answers: list[tuple[Call, Answer]] = await client.run(islice(mixed(seed, accounts), CALLS), AT_A_TIME)
        long = await stream
    assert all(call.about.answered(answer) for call, answer in answers)
    assert long.done
    told = {answer.request_id: call.about.charge for call, answer in answers}
    return {**told, long.request_id: charge("gpt-4o-mini", 100, 40)}


async def both(sides: Sides, accounts: list[Account], seed: int) -> dict[str, int]:
    one, other = await asyncio.gather(served(sides.before, accounts, seed), served(sides.now, accounts, seed + 1))
    return {**one, **other}


async def test_two_versions_serve_from_one_database(sides: Sides, upstream: FakeUpstream) -> None:
    sides.now.add_channel(upstream.url, MODELS)
    accounts = [sides.now.new_user(OPENING), sides.now.new_user(OPENING, remain_quota=OPENING // 2)]
    for node in (sides.before, sides.now):
        await asyncio.to_thread(node.wait_until_routed, ROOT_TOKEN, "gpt-4o-mini")

    expected = await both(sides, accounts, 11)

    books = sides.now.books()
    books.wait_settled(HOLD_TTL + 10)
    books.check()
    assert books.charges() == expected
    assert len(expected) == 2 * (CALLS + 1)


def test_the_version_before_starts_on_the_newer_schema(sides: Sides, upstream: FakeUpstream) -> None:
    """The way back, and a node that is started again half-way through an upgrade."""
    sides.before.stop()
    sides.before.start()

    assert sides.before.call(ROOT_TOKEN, "GET", "/v1/models")[0] == 200


def test_a_change_made_by_either_is_seen_by_the_other(sides: Sides, upstream: FakeUpstream) -> None:
    caller = sides.now.new_user(OPENING)
    for number, (changing, seeing) in enumerate(((sides.before, sides.now), (sides.now, sides.before))):
        model = f"made-{number}"
        fields = {
            "type": 1,
            "name": model,
            "key": "sk-1",
            "base_url": upstream.url,
            "models": model,
            "group": "default",
        }
        changing.api("POST", "/api/channel/", json=fields)
        seeing.wait_until_routed(ROOT_TOKEN, model)
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        status, told = seeing.call(caller.key, "POST", "/v1/chat/completions", body)
        assert status == 200, told
