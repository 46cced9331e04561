"""What /metrics says of calls that were made, whichever of the workers made them and whichever is asked."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.fake_upstream import FakeUpstream
from tests.server import Account, Gateway
from tests.telemetry.conftest import Figures, figures, until, value

MODEL, FAILING, SLOW = "gpt-3.5-turbo", "gpt-4", "gpt-4o-mini"
CALLS = 40
CHAT = {"dialect": "openai", "mode": "chat"}


def body(model: str = MODEL, **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}


def made(node: Gateway, upstream: FakeUpstream) -> tuple[Account, int, int]:
    """Somebody to call as, a channel that answers and one that fails."""
    account = node.new_user(10**9)
    good = node.add_channel(upstream.url, f"{MODEL},{SLOW}", name="good")
    bad = node.add_channel(upstream.scripted(status=500), FAILING, name="bad")
    node.wait_until_routed(account.key, FAILING)
    return account, good, bad


def ask(node: Gateway, account: Account, model: str = MODEL) -> int:
    return node.call(account.key, "POST", "/v1/chat/completions", body(model))[0]


def without_database(node: Gateway) -> Figures:
    """A page of figures by a worker that has noticed."""
    end = time.monotonic() + 20
    while value(told := figures(node.base_url), "one_api_database_up"):
        assert time.monotonic() < end
        time.sleep(0.1)
    return told


def test_counts_equal_the_calls_made(node: Gateway, upstream: FakeUpstream) -> None:
    account, good, bad = made(node, upstream)
    before = figures(node.base_url)

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: ask(node, account), range(CALLS)))
    assert statuses == [200] * CALLS
    assert ask(node, account, FAILING) == 500
    assert node.call("nobody", "POST", "/v1/chat/completions", body())[0] == 401
    with httpx.stream(
        "POST",
        f"{node.base_url}/v1/chat/completions",
        json=body(stream=True),
        headers={"Authorization": f"Bearer sk-{account.key}"},
        timeout=30,
    ) as answer:
        answer.read()
    until(lambda: value(figures(node.base_url), "one_api_calls_in_flight") == 0)
    after = figures(node.base_url)

    def rise(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert rise("one_api_calls_total", **CHAT, status="2xx") == CALLS + 1
    assert rise("one_api_calls_total", **CHAT, status="5xx") == 1
    assert rise("one_api_calls_total", **CHAT, status="4xx") == 1
    assert rise("one_api_call_seconds_count", stream="no") == CALLS + 2
    assert rise("one_api_call_seconds_count", stream="yes") == 1
    assert rise("one_api_first_token_seconds_count") == 1
    assert rise("one_api_streams_over_total", ending="well") == 1
    assert rise("one_api_phase_seconds_count", phase="plan") == CALLS + 2
    assert rise("one_api_phase_seconds_count", phase="settle") == CALLS + 1
    assert rise("one_api_tokens_total", kind="prompt") == 10 * (CALLS + 1)
    assert rise("one_api_tokens_total", kind="completion") == 5 * (CALLS + 1)
    assert rise("one_api_charged_points_total") == sum(log.quota for log in node.books().logs(account.id))
    assert rise("one_api_channel_attempts_total", channel=str(good), outcome="answered") == CALLS + 1
    assert rise("one_api_channel_attempts_total", channel=str(bad), outcome="server_error") == 1
    assert value(after, "one_api_channel_failures_in_a_row", channel=str(bad)) >= 0
    assert rise("one_api_books_batch_entries_sum") >= CALLS + 1
    assert rise("one_api_books_commit_seconds_count") == rise("one_api_books_batch_entries_count")
    assert value(after, "one_api_holds_open") == 0
    assert value(after, "one_api_workers") == 2
    assert value(after, "one_api_database_up") == 1


def test_both_workers_tell_the_same(node: Gateway) -> None:
    """The kernel chooses who is asked, so many are; a counter may rise meanwhile, but nobody is calling."""
    told = [figures(node.base_url) for _ in range(20)]
    seen = {value(one, "one_api_calls_total", dialect="other", mode="other", status="2xx") for one in told}

    assert seen == {value(told[0], "one_api_calls_total", dialect="other", mode="other", status="2xx")}


def test_retries_are_counted_by_what_the_attempt_before_failed_of(node: Gateway, upstream: FakeUpstream) -> None:
    account = node.new_user(10**9)
    node.api("PUT", "/api/option/", json={"key": "RetryTimes", "value": "1"})
    for name, script in (("first", {"status": 429}), ("second", {})):
        node.add_channel(upstream.scripted(**script), "gpt-4-turbo", name=name, priority=9 if script else 0)
    node.wait_until_routed(account.key, "gpt-4-turbo")
    until(lambda: ask(node, account, "gpt-4-turbo") == 200)

    before = value(figures(node.base_url), "one_api_retries_total", reason="rate_limited")
    assert ask(node, account, "gpt-4-turbo") == 200
    assert value(figures(node.base_url), "one_api_retries_total", reason="rate_limited") == before + 1


def test_open_streams_are_told_and_a_caller_who_leaves_is_counted_as_such(
    node: Gateway, upstream: FakeUpstream
) -> None:
    account = node.new_user(10**9)
    node.add_channel(upstream.scripted(pace=100, events=300, times=300), "gpt-4o", name="slow")
    node.wait_until_routed(account.key, "gpt-4o")
    until(lambda: ask(node, account, "gpt-4o") == 200)
    before = value(figures(node.base_url), "one_api_streams_over_total", ending="left")

    headers = {"Authorization": f"Bearer sk-{account.key}"}
    address = f"{node.base_url}/v1/chat/completions"
    with httpx.stream("POST", address, json=body("gpt-4o", stream=True), headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_bytes()  # kept: one that is dropped closes the connection
        next(pieces)
        assert value(figures(node.base_url), "one_api_streams_open") == 1

    until(lambda: value(figures(node.base_url), "one_api_streams_open") == 0)
    told = figures(node.base_url)
    assert value(told, "one_api_streams_over_total", ending="left") == before + 1
    assert value(told, "one_api_calls_total", **CHAT, status="left") >= 1


def test_no_counter_falls_when_a_worker_is_killed_and_replaced(node: Gateway, upstream: FakeUpstream) -> None:
    before = value(figures(node.base_url), "one_api_calls_total", **CHAT, status="2xx")
    killed = node.worker_pids()[0]
    os.kill(killed, signal.SIGKILL)

    def both_back() -> bool:
        try:
            told = figures(node.base_url)
        except httpx.HTTPError:
            return False
        pids = {labels["pid"] for (name, pairs) in told if name.endswith("open_fds") for labels in [dict(pairs)]}
        return value(told, "one_api_workers") == 2 and str(killed) not in pids

    until(both_back, 40)
    assert value(figures(node.base_url), "one_api_calls_total", **CHAT, status="2xx") == before
    account = node.new_user(10**9)
    node.wait_until_routed(account.key, MODEL)
    assert ask(node, account) == 200
    assert value(figures(node.base_url), "one_api_calls_total", **CHAT, status="2xx") == before + 1


def test_the_page_and_the_probe_of_life_answer_while_the_database_is_away(node: Gateway) -> None:
    """What stands in the way of whoever opens the database is a folder of its name."""
    path = Path(node.database.name)
    hidden = path.with_suffix(".hidden")
    assert httpx.get(f"{node.base_url}/readyz", timeout=30).status_code == 200
    path.rename(hidden)
    path.mkdir()
    try:
        until(lambda: httpx.get(f"{node.base_url}/readyz", timeout=30).json().get("missing") == ["database"])
        told = without_database(node)
        assert ("one_api_holds_open", ()) not in told
        assert value(told, "one_api_calls_begun_total") > 0
        assert httpx.get(f"{node.base_url}/healthz", timeout=30).json() == {"status": "ok"}
    finally:
        path.rmdir()
        hidden.rename(path)
    until(lambda: httpx.get(f"{node.base_url}/readyz", timeout=30).status_code == 200)
