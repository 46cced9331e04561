"""/v1/realtime through a real server, with real WebSocket clients and a scripted upstream over real sockets.

The model costs, in points a token: text 2 in and 8 out, sound 16 in and 32 out, 0.2 where it was cached.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.books import Row
from tests.fake_upstream import FakeUpstream
from tests.relay.conftest import OPENING, Payer
from tests.relay.raw import ask, until
from tests.relay.realtime.speaker import SECOND, Seen, Speaker, speaking
from tests.server import ROOT_TOKEN, Account, Gateway

MODEL, MAPPED, CHAT_ONLY = "gpt-realtime-1.5", "my-voice", "glm-4"
SHAKY, LOST = (
    "gpt-realtime-shaky",
    "gpt-realtime-lost",
)  # refused by one of two channels, and by the only one
USAGE = {
    "total_tokens": 1200,
    "input_tokens": 1000,
    "output_tokens": 200,
    "input_token_details": {
        "text_tokens": 300,
        "audio_tokens": 700,
        "cached_tokens": 400,
        "cached_tokens_details": {"text_tokens": 100, "audio_tokens": 300},
    },
    "output_token_details": {"text_tokens": 50, "audio_tokens": 150},
}
CHARGE = 80 + 400 * 16 + 200 * 2 + 150 * 32 + 50 * 8  # of USAGE: cached, sound in, text in, sound out, text out


@pytest.fixture(scope="module")
def speaker(served: Gateway, upstream_process: FakeUpstream) -> Iterator[Speaker]:
    with speaking() as speaker, speaking() as refuser:
        refuser.refuses = 500
        mapping = orjson.dumps({MAPPED: MODEL}).decode()
        served.add_channel(speaker.url, f"{MODEL},{MAPPED},{SHAKY}", model_mapping=mapping)
        served.add_channel(refuser.url, f"{SHAKY},{LOST}", priority=9)
        served.add_channel(upstream_process.url, CHAT_ONLY, type=36)
        served.wait_until_routed(ROOT_TOKEN, CHAT_ONLY)
        yield speaker


def session(gateway: Gateway, account: Account, model: str = MODEL, **options: Any) -> ClientConnection:
    address = f"ws://127.0.0.1:{gateway.port}/v1/realtime?model={model}"
    options.setdefault("additional_headers", {"Authorization": f"Bearer sk-{account.key}"})
    line: ClientConnection = connect(address, max_size=None, **options)
    return line


def events(line: ClientConnection, last: str = "response.done") -> list[Any]:
    """Up to the first one of this type."""
    found: list[Any] = []
    while not found or found[-1]["type"] != last:
        found.append(orjson.loads(line.recv(timeout=20)))
    return found


def respond(line: ClientConnection, **script: Any) -> None:
    line.send(orjson.dumps({"type": "response.create", "response": {"metadata": script}}).decode())


def end(line: ClientConnection) -> tuple[list[Any], int | None]:
    """All that still comes, and the code the session was closed with."""
    found: list[Any] = []
    while True:
        try:
            found.append(orjson.loads(line.recv(timeout=20)))
        except ConnectionClosed:
            return found, line.close_code


def logs(payer: Payer) -> list[Row]:
    return payer.gateway.books().logs(payer.account.id)


def newest(speaker: Speaker) -> Seen:
    return speaker.sessions[-1]


def test_each_response_is_billed_by_itself_and_exactly(payer: Payer, speaker: Speaker) -> None:
    with session(payer.gateway, payer.account) as line:
        respond(line, usage=USAGE)
        events(line)
        first = logs(payer)  # before its last event was passed on
        respond(line, usage={"input_tokens": 10, "output_tokens": 5})
        events(line)

    assert [row.quota for row in first] == [CHARGE]
    assert payer.charged() == CHARGE + 10 * 2 + 5 * 8
    rows = logs(payer)
    assert [(row.prompt_tokens, row.completion_tokens, row.model_name) for row in rows] == [
        (1000, 200, MODEL),
        (10, 5, MODEL),
    ]
    ids = [row.request_id for row in rows]
    assert [one.rpartition("-")[2] for one in ids] == ["1", "2"]
    assert len({one.rpartition("-")[0] for one in ids}) == 1
    query = f"SELECT usage_details FROM logs WHERE user_id = {payer.account.id} ORDER BY id"
    assert orjson.loads(payer.gateway.database.rows(query)[0][0]) == {
        "cached": 400,
        "audio_prompt": 400,
        "audio_completion": 150,
    }


def test_events_pass_as_they_are_both_ways(payer: Payer, speaker: Speaker) -> None:
    odd = '{"type" : "echo",  "what":"{\\"type\\":1.50, \\"x\\":\\"é\\\\u00e9\\"}", "bytes":"AP8="}'
    with session(payer.gateway, payer.account) as line:
        line.recv()
        line.send(odd)
        line.send(b"\x00\xff")
        got = [line.recv(timeout=20), line.recv(timeout=20)]

    assert got == ['{"type":1.50, "x":"é\\u00e9"}', base64.b64decode("AP8=")]
    newest(speaker).left.wait(20)
    assert newest(speaker).said == [odd, b"\x00\xff"]
    assert payer.charged() == 0


def test_openai_s_own_client_speaks_through_it(payer: Payer, speaker: Speaker) -> None:
    with payer.sdk.realtime.connect(model=MODEL) as connection:
        assert connection.recv().type == "session.created"
        connection.response.create(response={"metadata": {"usage": USAGE}})
        for event in connection:
            if event.type == "response.done":
                break

    assert event.response.usage.input_tokens == 1000
    assert payer.charged() == CHARGE


def test_the_upstream_is_asked_with_the_channel_s_key_and_its_own_name_of_the_model(
    payer: Payer, speaker: Speaker
) -> None:
    headers = {"Authorization": f"Bearer sk-{payer.account.key}", "OpenAI-Beta": "realtime=v1", "Cookie": "a=b"}
    with session(payer.gateway, payer.account, MAPPED, additional_headers=headers) as line:
        line.recv()

    seen = newest(speaker)
    assert seen.target == f"/v1/realtime?model={MODEL}"
    assert (seen.headers["authorization"], seen.headers["openai-beta"]) == ("Bearer sk-upstream", "realtime=v1")
    assert payer.account.key not in str(seen.headers)
    assert "cookie" not in seen.headers


def test_a_browser_s_key_among_the_subprotocols(payer: Payer, speaker: Speaker) -> None:
    offered = ["realtime", f"openai-insecure-api-key.sk-{payer.account.key}", "openai-beta.realtime-v1"]
    with session(payer.gateway, payer.account, additional_headers={}, subprotocols=offered) as line:
        assert line.subprotocol == "realtime"
        line.recv()

    assert newest(speaker).headers["openai-beta"] == "realtime=v1"
    assert payer.account.key not in str(newest(speaker).headers)


def test_the_name_azure_s_clients_use_for_a_key_s_header(payer: Payer, speaker: Speaker) -> None:
    with session(payer.gateway, payer.account, additional_headers={"api-key": payer.account.key}) as line:
        assert orjson.loads(line.recv())["type"] == "session.created"


class TestRefused:
    def refusal(self, payer: Payer, model: str = MODEL, **options: Any) -> tuple[int, Any]:
        with pytest.raises(InvalidStatus) as refused:
            session(payer.gateway, payer.account, model, **options)
        answer = refused.value.response
        assert answer.headers["x-oneapi-request-id"]
        assert answer.body is not None
        return answer.status_code, orjson.loads(answer.body)["error"]

    def test_without_a_key_or_with_a_wrong_one(self, payer: Payer, speaker: Speaker) -> None:
        for headers in ({}, {"Authorization": "Bearer sk-" + "x" * 48}):
            assert self.refusal(payer, additional_headers=headers)[0] == 401
        assert self.refusal(payer, additional_headers={}, subprotocols=["openai-insecure-api-key.sk-no"])[0] == 401

    def test_a_model_that_nobody_has(self, payer: Payer, speaker: Speaker) -> None:
        status, error = self.refusal(payer, "no-such-model")
        assert (status, error["code"]) == (404, "model_not_found")

    def test_a_model_whose_channels_have_no_sessions(self, payer: Payer, speaker: Speaker) -> None:
        status, error = self.refusal(payer, CHAT_ONLY)
        assert (status, error["code"]) == (400, "unsupported_mode")

    @pytest.mark.parametrize("query", ["", f"{MODEL}&call_id=rtc_1", f"{MODEL}&intent=transcription"])
    def test_no_model_or_more_than_a_conversation_with_it(self, payer: Payer, speaker: Speaker, query: str) -> None:
        assert self.refusal(payer, query)[0] == 400

    def test_a_token_for_other_models(self, payer: Payer, speaker: Speaker) -> None:
        limited = payer.gateway.new_user(OPENING, model_names="gpt-4o")
        headers = {"Authorization": f"Bearer {limited.key}"}
        assert self.refusal(payer, additional_headers=headers)[0] == 403

    def test_a_balance_that_bears_no_response(self, payer: Payer, speaker: Speaker) -> None:
        before = len(speaker.sessions)
        headers = {"Authorization": f"Bearer {payer.gateway.new_user(100).key}"}
        status, error = self.refusal(payer, additional_headers=headers)
        assert (status, error["code"]) == (403, "insufficient_user_quota")
        assert len(speaker.sessions) == before

    def test_what_the_last_upstream_says(self, payer: Payer, speaker: Speaker) -> None:
        status, error = self.refusal(payer, LOST)
        assert (status, error["code"], "no entry" in error["message"]) == (500, "scripted", True)
        assert payer.charged() == 0

    def test_a_plain_request(self, payer: Payer, speaker: Speaker) -> None:
        assert ask(payer.gateway, payer.account, f"/v1/realtime?model={MODEL}").status == 404


def test_another_channel_answers_where_the_first_refuses(payer: Payer, speaker: Speaker) -> None:
    payer.gateway.api("PUT", "/api/option/", json={"key": "RetryTimes", "value": "2"})
    try:

        def let_in() -> bool:
            try:
                with session(payer.gateway, payer.account, SHAKY) as line:
                    return bool(orjson.loads(line.recv())["type"] == "session.created")
            except InvalidStatus:
                return False  # the option is not in force yet

        until(let_in)
    finally:
        payer.gateway.api("PUT", "/api/option/", json={"key": "RetryTimes", "value": "0"})
    assert payer.charged() == 0


def test_a_balance_that_runs_out_in_the_middle_ends_the_session(payer: Payer, speaker: Speaker) -> None:
    """An hour of sound costs 2.3 million points; the purse has 100,000: what went out is worth no more."""
    purse = 100_000
    poor = payer.gateway.new_user(purse)
    with session(payer.gateway, poor) as line:
        respond(line, deltas=3600, usage=USAGE)
        found, code = end(line)

    assert (found[-1]["type"], found[-1]["error"]["code"], code) == ("error", "insufficient_user_quota", 1008)
    assert newest(speaker).left.wait(20)
    books = payer.gateway.books()
    books.wait_settled(5)
    books.check()
    heard = sum(len(one["delta"]) for one in found if "delta" in one) // SECOND
    (row,) = books.logs(poor.id)
    assert 0 <= books.quota(poor.id) < purse // 10
    assert heard * 20 * 32 <= purse
    assert abs(row.completion_tokens - heard * 20) <= 20  # at most the second that was not let through any more


def test_a_balance_that_runs_out_at_the_end_of_a_response_ends_the_session(payer: Payer, speaker: Speaker) -> None:
    poor = payer.gateway.new_user(CHARGE + 5000)
    with session(payer.gateway, poor) as line:
        respond(line, usage=USAGE)
        found, code = end(line)

    assert [one["type"] for one in found[-2:]] == ["response.done", "error"]
    assert (found[-1]["error"]["code"], code) == ("insufficient_user_quota", 1008)
    assert newest(speaker).left.wait(20)
    assert payer.gateway.books().quota(poor.id) == 5000
    payer.gateway.books().check()


def test_an_upstream_that_drops_is_told_of_and_billed_for_what_came(payer: Payer, speaker: Speaker) -> None:
    with session(payer.gateway, payer.account) as line:
        respond(line, deltas=5, then="drop")
        found, code = end(line)

    assert (found[-1]["type"], found[-1]["error"]["code"], code) == ("error", "session_broken", 1011)
    assert payer.charged() >= 5 * 20 * 32
    assert [row.completion_tokens for row in logs(payer)] == [5 * 20]


@pytest.mark.parametrize("code", [1000, 1001])
def test_an_upstream_that_leaves_in_order_is_not_told_of_as_an_error(payer: Payer, speaker: Speaker, code: int) -> None:
    with session(payer.gateway, payer.account) as line:
        line.send(orjson.dumps({"type": "leave", "code": code}).decode())
        found, closed_with = end(line)

    assert [one["type"] for one in found] == ["session.created"]
    assert closed_with == code
    assert payer.charged() == 0


def test_a_caller_who_leaves_takes_the_upstream_along_and_pays_for_what_came(payer: Payer, speaker: Speaker) -> None:
    with session(payer.gateway, payer.account) as line:
        respond(line, deltas=4, then="stay")
        for _ in range(4):
            events(line, "response.output_audio.delta")
    assert newest(speaker).left.wait(20)

    until(lambda: logs(payer))
    assert payer.charged() >= 4 * 20 * 32
    assert [row.completion_tokens for row in logs(payer)] == [4 * 20]


def test_a_caller_whose_connection_breaks_takes_the_upstream_along(payer: Payer, speaker: Speaker) -> None:
    with session(payer.gateway, payer.account) as line:
        line.recv()
        line.socket.close()

    assert newest(speaker).left.wait(20)
    assert payer.charged() == 0


def test_a_key_that_is_disabled_ends_its_sessions(payer: Payer, speaker: Speaker) -> None:
    with session(payer.gateway, payer.account) as line:
        line.recv()
        payer.gateway.api("POST", "/api/user/manage", json={"username": payer.account.username, "action": "disable"})
        found, code = end(line)

    assert (found[-1]["type"], code) == ("error", 1008)
    assert newest(speaker).left.wait(20)
    assert payer.charged() == 0


def test_a_response_without_usage_costs_what_was_heard_of_it(payer: Payer, speaker: Speaker) -> None:
    with session(payer.gateway, payer.account) as line:
        respond(line, deltas=2)
        events(line)
        respond(line, deltas=0)
        events(line)

    assert payer.charged() > 0
    assert [row.completion_tokens for row in logs(payer)] == [2 * 20]


def test_a_transcript_of_what_the_caller_said_is_charged_as_transcripts_are(payer: Payer, speaker: Speaker) -> None:
    with session(payer.gateway, payer.account) as line:
        line.send(orjson.dumps({"type": "transcribe", "said": "Hello there, world"}).decode())
        events(line, "conversation.item.input_audio_transcription.completed")
        rows = logs(payer)  # before it was passed on

    assert [(row.model_name, row.completion_tokens, row.quota) for row in rows] == [("whisper-1", 4, 4 * 15)]
    assert payer.charged() == 4 * 15
