"""Calls with an Idempotency-Key through a real server: made once, billed once, answered again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import Got, ask, chat, connected, post, until
from tests.server import ROOT_TOKEN, Account, Gateway

pytestmark = pytest.mark.slow

MODEL = "gpt-3.5-turbo"
PATH = "/v1/chat/completions"
PURSE = 10**9
MOST = 20_000  # IDEMPOTENCY_MAX_BYTES of this server


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    settings = {"IDEMPOTENCY_MAX_BYTES": str(MOST), "IDEMPOTENCY_WAIT": "2", "RELAY_IDLE_TIMEOUT": "3"}
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as gateway:
        gateway.add_channel(upstream_process.url, f"{MODEL},whisper-1,text-embedding-3-small")
        gateway.add_channel(upstream_process.url, "deepseek-chat", type=36)  # has no Responses API: it is translated
        gateway.wait_until_routed(ROOT_TOKEN, "deepseek-chat")
        yield gateway


def keyed(house: Gateway, account: Account, body: Any, key: str = "one", path: str = PATH, **headers: str) -> Got:
    return ask(house, account, path, body, headers={"Idempotency-Key": key, **headers})


def charges(house: Gateway, account: Account) -> list[int]:
    """Points of each charged call of the account, once nothing is open; the books agree with each other."""
    books = house.books()
    books.wait_settled(server.HOLD_TTL + 5)
    books.check()
    return [row.quota for row in books.logs(account.id)]


def test_a_repeat_is_answered_with_the_same_bytes_and_costs_nothing(house: Gateway, upstream: FakeUpstream) -> None:
    account = house.new_user(PURSE)
    first = keyed(house, account, chat(MODEL))
    again = keyed(house, account, chat(MODEL))

    assert (first.status, "idempotent-replayed" in first.headers) == (200, False)
    assert (again.status, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.body == first.body
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotent-request-id"] == first.request_id != again.request_id
    assert len(upstream.seen()) == 1
    assert charges(house, account) == [7]  # (10 prompt + 5 completion tokens * 3) * 0.25, rounded up


def test_a_stream_is_repeated_byte_for_byte(house: Gateway, upstream: FakeUpstream) -> None:
    account = house.new_user(PURSE)
    first = keyed(house, account, chat(MODEL, stream=True))
    again = keyed(house, account, chat(MODEL, stream=True))

    assert first.events()[-1] == "[DONE]"
    assert again.body == first.body
    assert again.headers["content-type"] == first.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert again.headers["idempotent-replayed"] == "true"
    assert len(upstream.seen()) == 1
    assert len(charges(house, account)) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {**chat(MODEL), "max_tokens": 9}),
        ("/v1/responses", {"model": "deepseek-chat", "input": "Hello"}),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "Hello"}),
        (f"/v1beta/models/{MODEL}:generateContent", {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}),
    ],
)
def test_every_dialect_knows_keys(house: Gateway, upstream: FakeUpstream, path: str, body: Any) -> None:
    account = house.new_user(PURSE)
    first = keyed(house, account, body, path=path)
    again = keyed(house, account, body, path=path)
    other = keyed(house, account, {**body, "user": "another"}, path=path)

    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert (other.status, other.headers["x-should-retry"]) == (409, "false")
    assert "used for another request" in other.error["message"]
    assert len(upstream.seen()) == 1
    assert len(charges(house, account)) == 1


def test_a_form_is_the_same_whatever_its_boundary(house: Gateway, upstream: FakeUpstream) -> None:
    account = house.new_user(PURSE)

    def form(boundary: str, sound: str = "sound") -> Got:
        parts = [
            'name="model"\r\n\r\nwhisper-1',
            f'name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n{sound}',
        ]
        body = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return keyed(house, account, f"{body}--{boundary}--\r\n".encode(), path="/v1/audio/transcriptions", **kind)

    first, again = form("one"), form("two")
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert form("one", "another sound").status == 409
    assert len(upstream.seen()) == 1


def test_another_body_or_path_is_a_conflict_and_another_token_is_not(house: Gateway, upstream: FakeUpstream) -> None:
    account, stranger = house.new_user(PURSE), house.new_user(PURSE)
    keyed(house, account, chat(MODEL))

    other_body = keyed(house, account, chat(MODEL, "Bye"))
    other_path = keyed(house, account, chat(MODEL), path="/v1/completions")
    strangers = keyed(house, stranger, chat(MODEL, "Bye"))

    assert (other_body.status, other_body.error["code"]) == (409, "idempotency_key_reused")
    assert (other_path.status, other_path.error["code"]) == (409, "idempotency_key_reused")
    assert (strangers.status, "idempotent-replayed" in strangers.headers) == (200, False)
    assert len(upstream.seen()) == 2
    assert len(charges(house, account)) == len(charges(house, stranger)) == 1


@pytest.mark.parametrize("key", ["k" * 256, "a\tb", "schlüssel", ""])
def test_a_key_that_cannot_be_one_is_refused(house: Gateway, upstream: FakeUpstream, key: str) -> None:
    refused = keyed(house, house.new_user(PURSE), chat(MODEL), key=key)

    assert (refused.status, refused.error["code"]) == (400, "invalid_idempotency_key")
    assert upstream.seen() == []


def test_counting_tokens_does_not_look_at_keys(house: Gateway) -> None:
    account = house.new_user(PURSE)
    for text in ("Hello", "Bye"):
        assert keyed(house, account, chat(MODEL, text), path="/v1/messages/count_tokens").status == 200


def test_a_failed_call_leaves_its_key_free(house: Gateway, upstream: FakeUpstream) -> None:
    account = house.new_user(PURSE)
    refused = keyed(house, account, chat(MODEL, in_text(status=400)))
    repeated = keyed(house, account, chat(MODEL, in_text(status=400)))
    at_last = keyed(house, account, chat(MODEL))

    assert (refused.status, repeated.status, at_last.status) == (400, 400, 200)
    assert "idempotent-replayed" not in repeated.headers
    assert len(upstream.seen()) == 3
    assert len(charges(house, account)) == 1


def test_a_refused_hold_leaves_its_key_free(house: Gateway) -> None:
    account = house.new_user(0)

    assert keyed(house, account, chat(MODEL)).status == 403
    house.api("POST", "/api/topup", json={"user_id": account.id, "quota": PURSE})
    assert keyed(house, account, chat(MODEL)).status == 200


def test_a_stream_that_broke_is_billed_and_tried_anew(house: Gateway, upstream: FakeUpstream) -> None:
    account = house.new_user(PURSE)
    body = chat(MODEL, in_text(drop_after=2), stream=True)
    first, again = keyed(house, account, body), keyed(house, account, body)

    assert "[DONE]" not in first.events()
    assert "idempotent-replayed" not in again.headers
    assert len(upstream.seen()) == 2
    assert len(charges(house, account)) == 2  # what was generated each time


def test_a_caller_who_leaves_midway_gets_a_new_call(house: Gateway, upstream: FakeUpstream) -> None:
    account = house.new_user(PURSE)
    body = chat(MODEL, in_text(events=4, pace=150), stream=True)
    raw = post(house, account, json.dumps(body).encode()).replace(b"Host:", b"Idempotency-Key: one\r\nHost:", 1)
    with connected(house) as line:
        line.sendall(raw)
        assert line.recv(4096).startswith(b"HTTP/1.1 200")
    again = keyed(house, account, body)

    assert (again.status, again.events()[-1], "idempotent-replayed" in again.headers) == (200, "[DONE]", False)
    assert len(upstream.seen()) == 2
    assert len(charges(house, account)) == 2


def test_an_answer_too_large_to_keep_is_not_billed_again(house: Gateway, upstream: FakeUpstream) -> None:
    account = house.new_user(PURSE)
    body = chat(MODEL, in_text(times=MOST // 20))
    first, again = keyed(house, account, body), keyed(house, account, body)

    assert first.status == 200
    assert len(first.body) > MOST
    assert (again.status, again.error["code"]) == (409, "idempotent_answer_too_large")
    assert len(upstream.seen()) == 1
    assert len(charges(house, account)) == 1


def test_a_repeat_of_a_running_call_waits_and_then_is_told_to_come_again(
    house: Gateway, upstream: FakeUpstream
) -> None:
    account = house.new_user(PURSE)
    body = chat(MODEL, in_text(first_byte=3200))
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(keyed, house, account, body)
        until(upstream.seen)
        early = keyed(house, account, body)  # 2 s are not enough
        patient = keyed(house, account, body)
        answered = first.result()

    assert (early.status, early.error["code"]) == (409, "idempotency_key_in_use")
    assert early.headers["retry-after"] == "2"
    assert (patient.status, patient.body) == (200, answered.body)
    assert len(upstream.seen()) == 1
    assert len(charges(house, account)) == 1


def test_nothing_stands_in_the_table_in_plain_text(house: Gateway) -> None:
    account = house.new_user(PURSE)
    answer = keyed(house, account, chat(MODEL, "a secret question"), key="a telling key")
    assert b"Hello from the upstream" in answer.body

    (row,) = house.database.rows(f"SELECT * FROM keyed_calls WHERE user_id = {account.id}")
    stored = b"|".join(bytes(one) if isinstance(one, bytes | memoryview) else str(one).encode() for one in row)
    for secret in (b"Hello", b"upstream", b"secret", b"telling", account.key.encode(), b"chatcmpl"):
        assert secret not in stored
