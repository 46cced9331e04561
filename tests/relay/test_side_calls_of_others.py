"""What happens beside the one request: credentials exchanged, tasks polled, prompts counted."""

from __future__ import annotations

import json
import time

import orjson
import pytest

from tests.relay import stage
from tests.relay.others import PURSE, House
from tests.relay.protocols import DIALECTS, asked
from tests.relay.raw import ask, connected, post, until
from tests.relay.stage import HANG, Play
from tests.server import ROOT_TOKEN, Account

ALI, BAIDU = 17, 15


@pytest.fixture(scope="module")
def more(others: House) -> House:
    gateway, opened = others.gateway, others.stage
    gateway.add_channel(opened.url("baidu"), "model-baidu", type=BAIDU, name="baidu", key="id|secret")
    gateway.add_channel(opened.url("ali"), "wanx-v1", type=ALI, name="ali")
    gateway.add_channel(opened.url("anthropic"), "model-both", type=14, name="both-0", priority=1)
    gateway.add_channel(opened.url("openai"), "model-both", type=36, name="both-1")
    gateway.wait_until_routed(ROOT_TOKEN, "model-both")
    return others


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_who_leaves_while_a_credential_is_exchanged_pays_nothing(
    more: House, stranger: Account, dialect: str, streams: bool
) -> None:
    """The request itself never went out. The exchange goes on, for others may wait for it."""
    more.stage.set(baidu=Play([HANG], stage.JSON))
    path, body = asked(dialect, "model-baidu", stream=streams)

    with connected(more.gateway) as wire:
        wire.sendall(post(more.gateway, stranger, json.dumps(body).encode(), path))
        until(lambda: more.stage.called)
        time.sleep(1.0)  # until somebody listens for the caller's departure

    more.free(stranger)
    assert {request.target.split("?")[0] for _, request in more.stage.seen} == {"/baidu/oauth/2.0/token"}
    until(lambda: not more.stage.stats.open, 15)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_exchange_that_fails_is_not_remembered(more: House, stranger: Account, dialect: str) -> None:
    answer = {"id": "as-1", "result": "Hello", "is_end": True, "usage": {"prompt_tokens": 100, "completion_tokens": 20}}
    more.stage.set(
        baidu=[
            Play([b"{}"], stage.JSON, 500),
            Play([b'{"access_token":"t","expires_in":1}'], stage.JSON),
            Play([orjson.dumps(answer)], stage.JSON),
        ]
    )

    refused = more.ask(dialect, "model-baidu", stranger, stream=False)
    got = more.ask(dialect, "model-baidu", stranger, stream=False)

    assert refused.status == 502
    assert refused.error["message"]
    assert got.status == 200
    assert b"Hello" in got.body
    assert more.row(stranger).quota > 0
    time.sleep(0.6)  # for half the credential's life: the next dialect exchanges its own


def test_who_leaves_while_a_picture_is_drawn_pays_nothing_and_nobody_looks_at_the_task_again(
    more: House, stranger: Account
) -> None:
    task = orjson.dumps({"output": {"task_id": "t1", "task_status": "PENDING"}})
    more.stage.set(ali=Play([task], stage.JSON))
    body = json.dumps({"model": "wanx-v1", "prompt": "a fox", "size": "1024x1024"}).encode()

    with connected(more.gateway) as wire:
        wire.sendall(post(more.gateway, stranger, body, "/v1/images/generations"))
        until(lambda: len(more.stage.seen) >= 2)

    more.free(stranger)
    looks = len(more.stage.seen)
    time.sleep(2.5)  # longer than the pause between two looks
    assert len(more.stage.seen) == looks


def test_a_kind_of_call_that_one_channel_lacks_goes_to_the_next(more: House, stranger: Account) -> None:
    vectors = {"data": [{"embedding": [1.0], "index": 0}], "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    more.stage.set(openai=Play([orjson.dumps(vectors)], stage.JSON))

    got = ask(more.gateway, stranger, "/v1/embeddings", {"model": "model-both", "input": "Hello"})

    assert got.status == 200, got.body
    assert more.stage.called == ["openai"]
    assert more.row(stranger).prompt_tokens == 7


@pytest.mark.parametrize(
    "failure", [[b'{"input_tok', stage.DROP], [HANG], [b"x" * (2 << 20)]], ids=["drop", "hang", "flood"]
)
@pytest.mark.parametrize("dialect", ["anthropic", "gemini"])
def test_a_count_that_breaks_off_is_made_here(
    more: House, stranger: Account, dialect: str, failure: list[stage.Step]
) -> None:
    more.stage.set(**{dialect: Play(failure, stage.JSON)})
    path, body = asked(dialect, f"model-{dialect}", stream=False)
    path = path.replace("/v1/messages", "/v1/messages/count_tokens").replace("generateContent", "countTokens")

    got = ask(more.gateway, stranger, path, body)

    assert got.status == 200, got.body
    assert got.json()["input_tokens" if dialect == "anthropic" else "totalTokens"] > 0
    assert more.stage.called == [dialect]
    more.free(stranger)


@pytest.mark.parametrize(
    ("dialect", "refusal"),
    [
        ("anthropic", {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}),
        ("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}),
    ],
)
def test_a_refusal_under_status_200_costs_nothing(
    more: House, stranger: Account, dialect: str, refusal: dict[str, object]
) -> None:
    more.stage.set(**{dialect: Play([orjson.dumps(refusal)], stage.JSON)})

    got = more.ask(dialect, f"model-{dialect}", stranger, stream=False)

    assert got.json() == refusal
    more.settled()
    assert more.gateway.books().quota(stranger.id) == PURSE
