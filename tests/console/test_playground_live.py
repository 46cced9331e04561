"""Calls from the playground through a real server: streamed, answered on the page, and billed as any call."""

from __future__ import annotations

import html
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.server import Account, Gateway

OPENING = 1_000_000
# Requests in Django at a time. On PostgreSQL these are all connections, of which the books and the jobs need some.
AT_ONCE = 12
SPEECH = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def served(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    settings = {"SQL_MAX_OPEN_CONNS": str(AT_ONCE)}
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as gateway:
        gateway.add_channel(upstream_process.url, "gpt-4o-mini,gpt-3.5-turbo")
        gateway.wait_until_routed(server.ROOT_TOKEN, "gpt-4o-mini")
        yield gateway


@pytest.fixture
def alice(served: Gateway) -> Account:
    return served.new_user(OPENING)


@pytest.fixture
def browser(served: Gateway, alice: Account) -> Iterator[httpx.Client]:
    """Signed in as alice, with the token against forgery of the page she looks at."""
    with httpx.Client(base_url=served.base_url, timeout=30) as client:
        client.cookies.set("session", served.operator("session", user_id=alice.id))
        assert client.get("/playground").status_code == 200
        client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
        yield client


def charged(served: Gateway, alice: Account) -> int:
    books = served.books()
    books.wait_settled(5)
    books.check()
    return OPENING - books.quota(alice.id)


def test_a_stream_comes_through_and_is_billed_to_the_chosen_key(
    served: Gateway, alice: Account, browser: httpx.Client, upstream: FakeUpstream
) -> None:
    wanted = {"model": "gpt-4o-mini", "messages": SPEECH, "stream": True, "stream_options": {"include_usage": True}}

    with browser.stream("POST", "/playground/call", json={"key": alice.token_id, "request": wanted}) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    assert lines[-1] == "[DONE]"
    usage = next(json.loads(line)["usage"] for line in reversed(lines[:-1]) if json.loads(line).get("usage"))
    bill = browser.get("/playground/bill", params={"request": answer.headers["x-oneapi-request-id"]}).json()
    assert bill["points"] == charged(served, alice) > 0
    assert (bill["prompt"], bill["completion"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert served.books().token_used_quota(alice.token_id) == bill["points"]
    seen = upstream.seen()[-1]
    assert "cookie" not in seen.headers
    assert seen.headers["authorization"] == "Bearer sk-upstream"


def test_one_question_without_script_is_answered_and_billed(
    served: Gateway, alice: Account, browser: httpx.Client
) -> None:
    form = {"key": alice.token_id, "model": "gpt-4o-mini", "message": "Hello"}

    answer = browser.post("/playground", data=form)

    assert answer.status_code == 200
    assert 'class="turn assistant"' in answer.text
    assert alice.key not in answer.text
    assert charged(served, alice) > 0
    assert len(served.books().logs(alice.id)) == 1


def test_what_the_key_may_not_do_is_refused_by_the_relay(
    served: Gateway, alice: Account, browser: httpx.Client
) -> None:
    narrow = served.operator("token", user_id=alice.id, model_names="gpt-3.5-turbo")
    wanted = {"model": "gpt-4o-mini", "messages": SPEECH}

    answer = browser.post("/playground/call", json={"key": narrow["id"], "request": wanted})

    assert answer.status_code == 403
    assert "error" in answer.json()
    assert charged(served, alice) == 0


def test_a_stranger_to_the_session_calls_nothing(served: Gateway, alice: Account) -> None:
    with httpx.Client(base_url=served.base_url, timeout=30) as stranger:
        stranger.get("/login")
        stranger.headers["X-CSRFToken"] = stranger.cookies["csrftoken"]
        answer = stranger.post("/playground/call", json={"key": alice.token_id, "request": {"model": "gpt-4o-mini"}})

    assert (answer.status_code, answer.headers["location"]) == (302, "/login?next=")


def test_the_first_call_of_a_new_key_runs_as_it_stands(served: Gateway, alice: Account, browser: httpx.Client) -> None:
    form = {"name": "laptop", "lifetime": "never", "unlimited": "on", "quota_0": "", "quota_1": "points", "count": "1"}
    page = html.unescape(browser.post("/token/add", data=form).text)
    command = page[page.index("curl ") : page.index("</code>", page.index("curl "))]

    ran = subprocess.run(["bash", "-c", command.replace("curl ", "curl -sS ", 1)], capture_output=True, check=True)

    assert json.loads(ran.stdout)["object"] == "chat.completion"
    assert charged(served, alice) > 0


def test_who_leaves_a_stream_half_way_pays_for_what_was_said(
    served: Gateway, alice: Account, browser: httpx.Client, upstream: FakeUpstream
) -> None:
    orders = in_text(usage=None, text="word ", times=400, events=400, pace=20)
    wanted = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": orders}], "stream": True}

    with browser.stream("POST", "/playground/call", json={"key": alice.token_id, "request": wanted}) as answer:
        for number, _line in enumerate(answer.iter_lines()):
            if number == 20:
                break

    assert upstream.wait_idle(5)["cancelled"] == 1
    assert charged(served, alice) > 0
    (row,) = served.books().logs(alice.id)
    assert 0 < row.completion_tokens < 400


def test_open_streams_leave_the_console_free(served: Gateway, alice: Account, browser: httpx.Client) -> None:
    """More of them than Django takes requests at once, and none ends: they hold no place there."""
    orders = in_text(gap_after=1, gap=60_000)
    wanted = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": orders}], "stream": True}
    body = {"key": alice.token_id, "request": wanted}

    with ExitStack() as stack:
        for _number in range(AT_ONCE + 1):
            client = stack.enter_context(httpx.Client(base_url=served.base_url, timeout=20, cookies=browser.cookies))
            client.headers.update(browser.headers)
            answer = stack.enter_context(client.stream("POST", "/playground/call", json=body))
            assert answer.status_code == 200
        assert browser.get("/playground", timeout=20).status_code == 200
