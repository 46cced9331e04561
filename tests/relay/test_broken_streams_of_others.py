"""Upstreams that fail, stall or say nothing of what they cost, and callers who leave, across dialects.

Every dialect speaks to every protocol: OpenAI's own pair passes bytes, equal pairs are overheard, the rest translated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.relay import protocols, stage
from tests.relay.others import PARTNER, PURSE, House
from tests.relay.protocols import (
    ANSWER,
    COMPLETION,
    DIALECTS,
    ERRORS,
    PROMPT,
    PROTOCOLS,
    asked,
    ends_whole,
    parts,
    played,
    tells_error,
    text_of,
)
from tests.relay.raw import connected, post, until
from tests.relay.stage import DROP, HANG, Play
from tests.server import Account

PAIRS = [pytest.param(dialect, protocol, id=f"{dialect}-{protocol}") for dialect in DIALECTS for protocol in PROTOCOLS]


@pytest.fixture
def healthy(others: House) -> Iterator[None]:
    """Every channel's failures in a row end with the test, so that none is left alone in the next one."""
    yield
    well = others.gateway.new_user(PURSE)
    for protocol in PROTOCOLS:
        others.stage.set(**{protocol: protocols.whole(protocol)})
        assert others.ask("openai", f"pair-{protocol}", well, stream=False).status == 200


@contextmanager
def streaming(others: House, account: Account, dialect: str, model: str, until_seen: bytes) -> Iterator[None]:
    """A stream that is under way, its caller having read up to `until_seen`; then the caller leaves."""
    path, body = asked(dialect, model, stream=True)
    with connected(others.gateway) as wire:
        wire.sendall(post(others.gateway, account, json.dumps(body).encode(), path))
        read = b""
        while until_seen not in read:
            piece = wire.recv(65536)
            assert piece, read
            read += piece
        yield


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_caller_who_leaves_pays_for_what_came_and_the_upstream_is_let_go_at_once(
    others: House, stranger: Account, dialect: str, protocol: str
) -> None:
    begin, middle, _ = parts(protocol)
    others.stage.set(**{protocol: played(protocol, *begin, *middle, HANG)})
    left = others.stage.stats.cancelled

    with streaming(others, stranger, dialect, f"model-{protocol}", ANSWER[-1].encode()):
        gone = time.time()

    until(lambda: others.stage.stats.cancelled > left, 10)
    assert others.stage.stats.last_cancelled - gone < 3
    row = others.row(stranger)
    # Not because it was silent for too long, which would have let it go as well.
    assert others.gateway.database.value(f"SELECT status FROM logs WHERE user_id = {stranger.id}") == 499
    assert row.estimated
    assert 0 < row.completion_tokens < 10
    assert row.prompt_tokens == PROMPT if protocol == "anthropic" else row.prompt_tokens > 0


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_an_error_at_the_beginning_goes_to_another_channel(
    others: House, stranger: Account, dialect: str, protocol: str
) -> None:
    partner = PARTNER[protocol]
    others.stage.set(**{protocol: played(protocol, ERRORS[protocol]), partner: protocols.stream(partner)})

    got = others.ask(dialect, f"pair-{protocol}", stranger, stream=True)

    assert others.stage.called == [protocol, partner]
    assert text_of(dialect, got.body) == "".join(ANSWER)
    assert ends_whole(dialect, got.body)
    row = others.row(stranger)
    assert (row.prompt_tokens, row.completion_tokens, row.quota) == (PROMPT, COMPLETION, PROMPT + 2 * COMPLETION)
    assert row.model_name == f"mapped-{partner}"


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("failure", ["error", "drop", "end", "stall"])
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_what_fails_before_the_first_word_goes_to_another_channel(
    others: House, stranger: Account, dialect: str, protocol: str, failure: str
) -> None:
    partner = PARTNER[protocol]
    begin, _, _ = parts(protocol)
    endings: dict[str, list[Any]] = {"error": [ERRORS[protocol]], "drop": [DROP], "end": [], "stall": [HANG]}
    if protocol == "openai" and dialect == "openai":
        begin = []  # its role chunk is passed on as it is: the answer has begun
    others.stage.set(
        **{protocol: played(protocol, *begin, 0.05, *endings[failure]), partner: protocols.stream(partner)}
    )

    got = others.ask(dialect, f"pair-{protocol}", stranger, stream=True)

    assert others.stage.called == [protocol, partner]
    assert text_of(dialect, got.body) == "".join(ANSWER)
    row = others.row(stranger)
    assert (row.quota, row.estimated) == (PROMPT + 2 * COMPLETION, False)


@pytest.mark.parametrize("failure", ["error", "drop", "end", "stall", "torn"])
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_what_fails_in_the_middle_is_told_in_the_callers_dialect_and_costs_what_came(
    others: House, stranger: Account, dialect: str, protocol: str, failure: str
) -> None:
    begin, middle, _ = parts(protocol)
    torn = middle[-1][: len(middle[-1]) // 2]
    endings: dict[str, list[Any]] = {
        "error": [ERRORS[protocol]],
        "drop": [DROP],
        "end": [],
        "stall": [HANG],
        "torn": [torn, DROP],
    }
    others.stage.set(**{protocol: played(protocol, *begin, *middle, 0.05, *endings[failure])})

    got = others.ask(dialect, f"model-{protocol}", stranger, stream=True)

    assert got.status == 200
    assert tells_error(dialect, got.body), got.body
    assert not ends_whole(dialect, got.body)
    if failure != "error":
        assert text_of_whole_events(dialect, got.body) == "".join(ANSWER)
    row = others.row(stranger)
    assert row.estimated
    assert 0 < row.completion_tokens < 10


def text_of_whole_events(dialect: str, body: bytes) -> str:
    """Without the error at the end."""
    events = body.replace(b"\r\n", b"\n").rstrip().split(b"\n\n")
    return text_of(dialect, b"\n\n".join(events[:-1]))


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_an_upstream_that_tells_no_usage_is_never_free(
    others: House, stranger: Account, dialect: str, protocol: str, streams: bool
) -> None:
    made = protocols.stream if streams else protocols.whole
    others.stage.set(**{protocol: made(protocol, usage=False)})

    got = others.ask(dialect, f"model-{protocol}", stranger, stream=streams)

    assert got.status == 200
    row = others.row(stranger)
    assert row.estimated
    assert row.prompt_tokens > 0
    assert 2 <= row.completion_tokens <= 6
    assert row.quota == row.prompt_tokens + 2 * row.completion_tokens


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_stream_that_is_complete_does_not_wait_for_an_upstream_that_holds_the_line(
    others: House, stranger: Account, dialect: str, protocol: str
) -> None:
    begin, middle, end = parts(protocol)
    others.stage.set(**{protocol: played(protocol, *begin, *middle, *end, HANG)})

    got = others.ask(dialect, f"model-{protocol}", stranger, stream=True)

    assert text_of(dialect, got.body) == "".join(ANSWER)
    assert ends_whole(dialect, got.body)
    assert others.row(stranger).quota == PROMPT + 2 * COMPLETION


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_usage_that_cannot_be_true_is_not_believed_either_when_text_follows_it(
    others: House, stranger: Account, dialect: str, protocol: str
) -> None:
    """The last word is the upstream's lie, then more text, then nothing."""
    begin, middle, end = parts(protocol, prompt=10**9, completion=10**9)
    others.stage.set(**{protocol: played(protocol, *begin, *end[:2], *middle, DROP)})

    others.ask(dialect, f"model-{protocol}", stranger, stream=True)

    row = others.row(stranger)
    assert row.prompt_tokens <= 8_000_000 + 10_000
    assert row.completion_tokens <= 600_000


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_final_429_is_told_in_the_contracts_words(
    others: House, stranger: Account, dialect: str, protocol: str
) -> None:
    others.stage.set(**{protocol: Play([b'{"error":{"message":"slow down"}}'], stage.JSON, 429)})

    got = others.ask(dialect, f"model-{protocol}", stranger, stream=True)

    assert got.status == 429
    assert "当前分组上游负载已饱和，请稍后再试" in got.error["message"]
    others.free(stranger)


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_whole_answer_without_end_is_refused(
    others: House,
    stranger: Account,
    dialect: str,
    protocol: str,
) -> None:
    others.stage.set(**{protocol: Play([b'{"x":"' + b"x" * (2 << 20) + b'"}'], stage.JSON)})

    got = others.ask(dialect, f"model-{protocol}", stranger, stream=False)

    assert got.status == 502
    assert got.error["message"]
    others.free(stranger)


@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_a_line_without_end_is_given_up(
    others: House,
    stranger: Account,
    dialect: str,
    protocol: str,
) -> None:
    begin, middle, _ = parts(protocol)
    opening = b'{"message":{"content":"' if protocol == "ollama" else b'data: {"x":"'
    others.stage.set(**{protocol: played(protocol, *begin, *middle, opening + b"x" * (17 << 20), HANG)})

    got = others.ask(dialect, f"model-{protocol}", stranger, stream=True)

    assert tells_error(dialect, got.body[-4000:])
    row = others.row(stranger)
    assert 0 < row.completion_tokens < 10


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(("dialect", "protocol"), PAIRS)
def test_the_channel_tried_second_gets_its_own_model_and_prompt(
    others: House, stranger: Account, dialect: str, protocol: str
) -> None:
    """Nothing of the first attempt is left in the second, nor in what the caller is shown."""
    partner = PARTNER[protocol]
    others.stage.set(**{protocol: Play([b"{}"], stage.JSON, 500), partner: protocols.whole(partner)})

    got = others.ask(dialect, f"pair-{protocol}", stranger, stream=False)

    assert others.stage.called == [protocol, partner]
    for name in (protocol, partner):
        target = next(request.target for who, request in others.stage.seen if who == name)
        sent = json.dumps(others.stage.asked(name))
        other = partner if name == protocol else protocol
        assert f"mapped-{name}" in sent + target
        assert sent.count(f"prompt of {name}") == 1
        assert f"mapped-{other}" not in sent + target
        assert f"prompt of {other}" not in sent
    if dialect != partner:  # else the upstream's bytes
        assert f'"pair-{protocol}"' in got.body.decode()
    row = others.row(stranger)
    assert (row.model_name, row.quota) == (f"mapped-{partner}", PROMPT + 2 * COMPLETION)
