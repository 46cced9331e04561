"""Two nodes that share a database and a Redis: what one learns the other knows, and Redis may go at any moment."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from tests.conftest import see_that_it_answers
from tests.databases import Database, fresh
from tests.fake_upstream import FakeUpstream
from tests.nodes.services import Redis, redis_server
from tests.server import ROOT_TOKEN, Account, Gateway

PATH = "/v1/chat/completions"
FRONTEND = "https://one.example"
KNOWN = 2.0  # seconds: one in which a node knows what another has seen, and one for a busy machine


@dataclass(frozen=True, slots=True)
class Pair:
    master: Gateway
    slave: Gateway
    redis: Redis

    def ask(self, node: Gateway, caller: Account, model: str) -> tuple[int, str]:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        status, answer = node.call(caller.key, "POST", PATH, body)
        return status, answer["choices"][0]["message"]["content"] if status == 200 else json.dumps(answer)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    see_that_it_answers("postgres")
    with fresh("postgres", tmp_path_factory.mktemp("database")) as made:
        yield made


@pytest.fixture(scope="module")
def pair(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with redis_server(tmp_path_factory.mktemp("redis"), "127.0.0.1") as running:
        both = {"REDIS_CONN_STRING": running.url}
        settings = (
            {**both, "NODE_TYPE": "master"},
            {**both, "NODE_TYPE": "slave", "FRONTEND_BASE_URL": f"{FRONTEND}/"},
        )
        nodes = [Gateway(database, 1, tmp_path_factory.mktemp("node"), each) for each in settings]
        try:
            with ThreadPoolExecutor() as threads:
                list(threads.map(Gateway.start, nodes))
            yield Pair(nodes[0], nodes[1], running)
        finally:
            for node in nodes:
                node.close()


def test_a_pause_one_node_was_asked_for_is_kept_by_the_other(pair: Pair, upstream: FakeUpstream) -> None:
    busy = upstream.scripted(status=429, headers={"retry-after": "30"})
    pair.master.operator("option", key="RetryTimes", value="1")  # first: who knows the channels knows this too
    pair.master.add_channel(busy, "paused", priority=1, name="busy")
    pair.master.add_channel(upstream.scripted(text="spared"), "paused")
    caller = pair.master.new_user(10**6)
    for node in (pair.master, pair.slave):
        node.wait_until_routed(ROOT_TOKEN, "paused")

    first = pair.ask(pair.master, caller, "paused")
    time.sleep(KNOWN)
    second = pair.ask(pair.slave, caller, "paused")

    assert (first, second) == ((200, "spared"), (200, "spared"))
    assert [busy.endswith(one.target.split("/")[1]) for one in upstream.seen()] == [True, False, False]


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_calls_and_limits_go_on_without_redis(pair: Pair, upstream: FakeUpstream, fault: str) -> None:
    model = f"redis-{fault}"
    pair.master.add_channel(upstream.url, model)
    caller = pair.master.new_user(10**6)
    if fault == "killed":
        pair.redis.kill()
    else:
        pair.redis.signal(signal.SIGSTOP)
    try:
        with httpx.Client(timeout=30) as client:
            for node in (pair.master, pair.slave):
                node.wait_until_routed(ROOT_TOKEN, model)
            changed = pair.master.api("PUT", "/api/option/", json={"key": "SystemName", "value": fault})
            told = [pair.ask(node, caller, model)[0] for node in (pair.master, pair.slave) for _ in range(3)]
            tries = [
                client.post(f"{(pair.master, pair.slave)[place % 2].base_url}/api/user/login", json={}).status_code
                for place in range(22)
            ]
        time.sleep(KNOWN)
        name = httpx.get(f"{pair.slave.base_url}/api/status", timeout=30).json()["data"]["system_name"]
    finally:
        if fault == "killed":
            pair.redis.start()
        else:
            pair.redis.signal(signal.SIGCONT)

    assert changed is None
    assert name == fault
    assert told == [200] * 6
    assert tries == [200] * 20 + [429] * 2 or fault == "frozen"  # the second fault finds the count of the first
    assert set(tries) <= {200, 429}
    books = pair.master.books()
    books.wait_settled(5)
    books.check()
    assert len(books.logs(caller.id)) == 6


@pytest.mark.parametrize(
    ("method", "path", "place"),
    [
        ("GET", "/", "/"),
        ("GET", "/channel?page=2&q=%E4%B8%AD", "/channel?page=2&q=%E4%B8%AD"),
        ("GET", "//evil.example/%2e%2e", "//evil.example/%2e%2e"),
        ("GET", "/static/app.css", "/static/app.css"),
        ("POST", "/login", "/login"),
        ("GET", "/api/nothing?here=1", "/api/nothing?here=1"),
        ("GET", "/v1/nothing", "/v1/nothing"),
    ],
)
def test_a_slave_sends_strangers_to_the_frontend(pair: Pair, method: str, path: str, place: str) -> None:
    answer = httpx.request(method, pair.slave.base_url + path, timeout=30)

    assert (answer.status_code, answer.headers["location"]) == (301, FRONTEND + place)


def test_a_slave_answers_what_is_an_api(pair: Pair) -> None:
    assert httpx.get(f"{pair.slave.base_url}/api/status", timeout=30).json()["success"]
    assert pair.slave.call(ROOT_TOKEN, "GET", "/v1/models")[0] == 200
    assert pair.slave.call(ROOT_TOKEN, "POST", PATH, {"model": "none", "messages": []})[0] in (400, 503)


def test_a_master_shows_its_own_pages(pair: Pair) -> None:
    assert httpx.get(f"{pair.master.base_url}/login", timeout=30).status_code == 200
    assert httpx.get(f"{pair.master.base_url}/v1/nothing", timeout=30).status_code == 404
