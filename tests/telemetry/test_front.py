"""Who may read the figures, and what the probes say; through the real front, without a server."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from config.client_ip import networks
from telemetry import front, ledger, page, readiness
from telemetry.front import Front

TOKEN = "a-token-of-the-tests"


@pytest.fixture(autouse=True)
def _a_page(monkeypatch):
    monkeypatch.setattr(page, "build", lambda: b"one_api_build_info 1\n")


async def ask(path: str, peer: str | None = "127.0.0.1", method: str = "GET", worker: Any = None, **headers: str):
    """(status, body); names of headers with _ for -."""
    told: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    client = None if peer is None else (peer, 1)
    asked = Front(worker)
    await asked({"method": method, "path": path, "headers": lines, "client": client}, send)
    asked.close()
    return told[0]["status"], told[1]["body"]


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("127.8.8.8", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("10.0.0.1", {}, 403),
        (None, {}, 403),
        ("", {}, 403),
        ("127.0.0.1", {"x_forwarded_for": "127.0.0.1"}, 403),
        ("127.0.0.1", {"x_real_ip": "127.0.0.1"}, 403),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, 403),
        ("127.0.0.1", {"via": "1.1 proxy"}, 403),
        ("10.0.0.1", {"authorization": "Bearer "}, 403),
    ],
)
async def test_without_a_token_only_direct_callers_of_this_machine_read_them(peer, headers, status):
    assert (await ask("/metrics", peer, **headers))[0] == status


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {}, 401),
        ("127.0.0.1", {"authorization": "Bearer wrong"}, 401),
        ("127.0.0.1", {"authorization": f"Basic {TOKEN}"}, 401),
        ("9.9.9.9", {"authorization": f"Bearer {TOKEN}"}, 200),
        ("127.0.0.1", {"authorization": f"bearer {TOKEN}", "x_forwarded_for": "9.9.9.9"}, 200),
    ],
)
async def test_where_there_is_a_token_it_is_asked_for(settings, peer, headers, status):
    settings.METRICS_TOKEN = TOKEN
    assert (await ask("/metrics", peer, **headers))[0] == status


async def test_networks_that_are_named_need_no_token_unless_a_proxy_stands_between(settings):
    settings.METRICS_TOKEN, settings.METRICS_ALLOWED = TOKEN, networks("10.0.0.0/8")

    assert (await ask("/metrics", "10.1.2.3"))[0] == 200
    assert (await ask("/metrics", "127.0.0.1"))[0] == 401
    assert (await ask("/metrics", "10.1.2.3", x_forwarded_for="10.1.2.3"))[0] == 401


async def test_the_probes_ask_for_nothing_and_take_no_other_method(monkeypatch):
    monkeypatch.setattr(readiness, "missing", lambda worker: [])

    assert await ask("/healthz", "9.9.9.9") == (200, b'{"status":"ok"}')
    assert await ask("/healthz", method="HEAD") == (200, b"")
    assert (await ask("/readyz", "9.9.9.9"))[0] == 200
    assert {(await ask(path, method="POST"))[0] for path in front.PATHS} == {405}


async def test_what_is_missing_is_named(monkeypatch):
    worker = SimpleNamespace(snapshot=None, stopping=True, books=SimpleNamespace(alive=True))
    monkeypatch.setattr(readiness.writable, "answer", lambda patience: None)
    ledger.failed(away=True, in_a_row=readiness.FAILING)

    status, body = await ask("/readyz", worker=worker)
    ledger.written(1, 0.0, 0.0)
    worker.snapshot, worker.stopping = object(), False
    monkeypatch.setattr(readiness.writable, "answer", lambda patience: True)

    assert status == 503
    assert json.loads(body) == {"status": "not ready", "missing": ["stopping", "snapshot", "books", "database"]}
    assert (await ask("/readyz", worker=worker))[0] == 200


async def test_a_worker_whose_books_have_died_is_not_ready(monkeypatch):
    worker = SimpleNamespace(snapshot=object(), stopping=False, books=SimpleNamespace(alive=False))
    monkeypatch.setattr(readiness.writable, "answer", lambda patience: True)

    status, body = await ask("/readyz", worker=worker)

    assert (status, json.loads(body)["missing"]) == (503, ["books"])
