"""Balances that run short, holds that are refused and calls that are refused at the door, in every dialect."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import orjson
import pytest

from tests.relay import protocols, stage
from tests.relay.others import House
from tests.relay.protocols import ANSWER, COMPLETION, DIALECTS, PROMPT, PROTOCOLS, asked, parts, played, tells_error
from tests.relay.raw import Got, ask, connected, post, until
from tests.relay.stage import HANG, Play
from tests.server import Account

PAIRS = [pytest.param(dialect, protocol, id=f"{dialect}-{protocol}") for dialect in DIALECTS for protocol in PROTOCOLS]


def kind_of(dialect: str, got: Got) -> Any:
    """What tells the error's kind; KeyError where it is in another dialect's form."""
    error = got.json()["error"]
    match dialect:
        case "anthropic":
            assert got.json()["type"] == "error"
            assert got.json()["request_id"] == got.request_id
            return error["type"]
        case "gemini":
            assert error["code"] == got.status
            return error["status"]
    assert set(error) >= {"message", "type"}
    return got.status


def maximum_sent(protocol: str, body: Any) -> Any:
    match protocol:
        case "gemini":
            return body["generationConfig"]["maxOutputTokens"]
        case "ollama":
            return body["options"]["num_predict"]
        case "openai":
            return body.get("max_completion_tokens") or body["max_tokens"]
    return body["max_tokens"]


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_stream_ends_in_the_callers_dialect_when_the_balance_does(others: House, dialect: str, protocol: str) -> None:
    """Completion tokens cost 2 points; the purse bears a little more than the first tranche."""
    poor = others.gateway.new_user(10_000)
    begin, _, _ = parts(protocol)
    words = " ".join(f"word{i}" for i in range(400)) + " "
    (_, middle, _) = parts(protocol, texts=(words,))
    more = [step for _ in range(200) for step in (middle[0], 0.01)]
    others.stage.set(**{protocol: played(protocol, *begin, *more, HANG)})
    left = others.stage.stats.cancelled

    got = others.ask(dialect, f"model-{protocol}", poor, stream=True)

    assert tells_error(dialect, got.body), got.body[-500:]
    assert b"quota" in got.body[-1500:]
    until(lambda: others.stage.stats.cancelled > left)
    row = others.row(poor)
    assert 0 < row.quota <= 10_000
    assert others.gateway.books().quota(poor.id) == 10_000 - row.quota


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_short_balance_lowers_what_may_be_generated(others: House, dialect: str, protocol: str) -> None:
    poor = others.gateway.new_user(3_000)
    others.stage.set(**{protocol: protocols.whole(protocol)})

    got = others.ask(dialect, f"model-{protocol}", poor, stream=False, maximum=100_000)

    assert got.status == 200, got.body
    most = maximum_sent(protocol, others.stage.asked(protocol))
    assert 1000 < most < 1500  # (3000 - prompt) / 2
    assert others.row(poor).quota == PROMPT + 2 * COMPLETION


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_short_balance_is_shared_by_all_answers_of_one_call(others: House, protocol: str) -> None:
    poor = others.gateway.new_user(3_000)
    others.stage.set(**{protocol: protocols.whole(protocol)})
    path, body = asked("openai", f"model-{protocol}", stream=False, maximum=100_000)

    got = ask(others.gateway, poor, path, {**body, "n": 4})

    if got.status == 400:  # a protocol that makes one answer alone
        others.settled()
        assert others.gateway.books().quota(poor.id) == 3_000
        return
    assert got.status == 200, got.body
    assert maximum_sent(protocol, others.stage.asked(protocol)) < 400
    assert others.row(poor).quota == PROMPT + 2 * COMPLETION


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_hold_that_is_refused_is_told_and_costs_nothing(
    others: House, dialect: str, protocol: str, streams: bool
) -> None:
    poor = others.gateway.new_user(1)
    made = protocols.stream if streams else protocols.whole
    others.stage.set(**{protocol: made(protocol)})

    got = others.ask(dialect, f"model-{protocol}", poor, stream=streams, text="Hello " * 500)

    assert got.status == 403
    expected = {"anthropic": "permission_error", "gemini": "PERMISSION_DENIED"}
    assert kind_of(dialect, got) == expected.get(dialect, 403)
    assert others.stage.called == []
    others.settled()
    assert others.gateway.books().quota(poor.id) == 1


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_hold_refused_while_the_upstream_is_at_work_ends_both(
    others: House, dialect: str, protocol: str, streams: bool
) -> None:
    """The worker still believes in a full purse: it sends ahead, and the books refuse."""
    rich = others.gateway.new_user(10**9)
    others.stage.set(**{protocol: protocols.whole(protocol)})
    assert others.ask(dialect, f"model-{protocol}", rich, stream=False).status == 200
    spent = others.row(rich).quota
    _write(others, f"UPDATE users SET quota = 0 WHERE id = {rich.id:d}")
    others.stage.set(**{protocol: played(protocol, HANG)})
    left = others.stage.stats.cancelled

    got = others.ask(dialect, f"model-{protocol}", rich, stream=streams)

    _write(others, f"UPDATE users SET quota = {10**9 - spent:d} WHERE id = {rich.id:d}")
    assert got.status == 403
    assert kind_of(dialect, got)
    if others.stage.called:
        until(lambda: others.stage.stats.cancelled > left)
    others.settled()
    assert others.gateway.books().quota(rich.id) == 10**9 - spent


def _write(others: House, statement: str) -> None:
    """Behind the gateway's back."""
    database = others.gateway.database
    made = sqlite3.connect(database.name, timeout=10) if database.kind == "sqlite" else database.connect()
    with closing(made) as connection:
        connection.cursor().execute(statement)
        connection.commit()


PATHS = {
    "openai": ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/images/generations", "/v1/rerank"),
    "responses": ("/v1/responses",),
    "anthropic": ("/v1/messages", "/v1/messages/count_tokens"),
    "gemini": (
        *(f"/v1beta/models/model-gemini:{action}" for action in ("generateContent", "streamGenerateContent?alt=sse")),
        *(f"/v1beta/models/model-gemini:{action}" for action in ("countTokens", "embedContent", "batchEmbedContents")),
        "/v1/models/model-gemini:generateContent",
    ),
}
DOORS = [(dialect, path) for dialect, paths in PATHS.items() for path in paths]
KINDS = {
    "anthropic": {400: "invalid_request_error", 401: "authentication_error", 413: "request_too_large"},
    "gemini": {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 413: "INVALID_ARGUMENT"},
}


@pytest.mark.parametrize(("dialect", "path"), DOORS)
def test_what_is_refused_at_the_door_is_refused_in_the_paths_own_dialect(
    others: House, stranger: Account, dialect: str, path: str
) -> None:
    nobody = Account(0, "", 0, "nobody" * 8)
    odd: list[tuple[int, Account | None, bytes, dict[str, str]]] = [
        (401, None, b"{}", {}),
        (401, nobody, b"{}", {}),
        (413, stranger, b"", {"Content-Length": str(10**12)}),
        (400, stranger, b'{"model": "model-gemini", ', {}),
        (400, stranger, b"[]", {}),
        (400, stranger, b"\xff\xfe", {}),
        (400, stranger, b"", {}),
        (400, stranger, b"not gzip", {"Content-Encoding": "gzip"}),
        (400, stranger, b'{"model":' + b"[" * 5000, {}),
    ]
    for status, account, body, headers in odd:
        got = _post(others, account, path, body, headers)
        assert got.status == status, (status, body[:40], got.body)
        assert kind_of(dialect, got) == KINDS.get(dialect, {}).get(status, status)
    others.free(stranger)


def _post(others: House, account: Account | None, path: str, body: bytes, headers: dict[str, str]) -> Got:
    if "Content-Length" not in headers:
        return ask(others.gateway, account, path, body, headers=headers)
    assert account is not None
    with closing(HTTPConnection("127.0.0.1", others.gateway.port, timeout=10)) as connection:
        connection.putrequest("POST", path)
        for name, value in {"Authorization": f"Bearer sk-{account.key}", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_nobody_has_is_told_in_the_callers_dialect(others: House, stranger: Account, dialect: str) -> None:
    got = others.ask(dialect, "nobodys-model", stranger, stream=True)

    assert got.status == 404
    expected = {"anthropic": "not_found_error", "gemini": "NOT_FOUND"}
    assert kind_of(dialect, got) == expected.get(dialect, 404)
    others.free(stranger)


def test_an_array_of_geminis_stays_an_array_when_its_upstream_breaks_off(others: House, stranger: Account) -> None:
    """Without `alt=sse` Google streams one JSON array; bytes of it pass, and the error becomes its last entry."""
    chunks = [part.removeprefix(b"data: ").rstrip() for part in parts("gemini")[1]]
    others.stage.set(
        gemini=Play([b"[" + chunks[0], b",\r\n" + chunks[1], b",\r\n" + chunks[2][:20], stage.DROP], stage.JSON)
    )
    _, body = asked("gemini", "model-gemini", stream=True)

    got = ask(others.gateway, stranger, "/v1beta/models/model-gemini:streamGenerateContent", body)

    entries = got.json()
    assert [entry["candidates"][0]["content"]["parts"][0]["text"] for entry in entries[:2]] == list(ANSWER[:2])
    assert entries[2]["error"]["status"]
    assert len(entries) == 3
    assert others.row(stranger).completion_tokens > 0


def test_an_array_of_geminis_is_passed_on_whole(others: House, stranger: Account) -> None:
    chunks = [part.removeprefix(b"data: ").rstrip() for group in parts("gemini") for part in group]
    others.stage.set(gemini=Play([b"[" + b",\r\n".join(chunks) + b"\r\n]"], stage.JSON))
    _, body = asked("gemini", "model-gemini", stream=True)

    got = ask(others.gateway, stranger, "/v1beta/models/model-gemini:streamGenerateContent", body)

    assert got.json() == [orjson.loads(chunk) for chunk in chunks]
    assert others.row(stranger).quota == PROMPT + 2 * COMPLETION


@pytest.mark.parametrize("dialect", DIALECTS)
def test_who_leaves_before_the_first_word_pays_the_prompt_as_the_upstream_counted_it(
    others: House, stranger: Account, dialect: str
) -> None:
    begin, _, _ = parts("anthropic")
    others.stage.set(anthropic=played("anthropic", begin[0], HANG))
    path, body = asked(dialect, "model-anthropic", stream=True)
    left = others.stage.stats.cancelled

    with connected(others.gateway) as wire:
        wire.sendall(post(others.gateway, stranger, json.dumps(body).encode(), path))
        until(lambda: others.stage.called)
        time.sleep(1.0)  # for the count to come
    until(lambda: others.stage.stats.cancelled > left)

    row = others.row(stranger)
    assert (row.prompt_tokens, row.completion_tokens, row.quota) == (PROMPT, 0, PROMPT)
