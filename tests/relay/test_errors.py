"""What a caller is told when an upstream fails, in whatever words the upstream said it (relay contract, section 10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.upstream_errors import normalise, redact
from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import Got, ask, chat
from tests.server import ROOT_TOKEN, Account, Gateway

MODEL = "gpt-3.5-turbo"
PATH = "/v1/chat/completions"
PURSE = 10**12


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    user: Account

    def ask(self, stream: bool = False, **orders: Any) -> Got:
        return ask(self.gateway, self.user, PATH, chat(MODEL, in_text(**orders), stream=stream))


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    settings = {"RELAY_MAX_ANSWER_MB": "1", "RELAY_FIRST_BYTE_TIMEOUT": "1"}
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as gateway:
        gateway.add_channel(upstream_process.url, MODEL)
        gateway.add_channel("http://127.0.0.1:1/secret-path?token=secret", "gone")
        gateway.wait_until_routed(ROOT_TOKEN, "gone")
        made = House(gateway, gateway.new_user(PURSE))
        yield made
        books = gateway.books()
        books.wait_settled(5)
        books.check()
        assert books.quota(made.user.id) == PURSE  # nothing that failed has cost anything


ERROR = {"message": "m", "type": "t", "param": "p", "code": "c"}
HTML = b"<html><head><style>b{}</style><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>"


class TestShapes:
    """Pure: an upstream's body in, our error out."""

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"error": ERROR}, ERROR),
            ({"error": {**ERROR, "param": None}}, {**ERROR, "param": ""}),
            ({"error": {**ERROR, "code": None}}, {**ERROR, "code": None}),
            ({"error": {**ERROR, "code": 1234}}, {**ERROR, "code": 1234}),
            ({"error": {**ERROR, "code": {"a": 1}}}, {**ERROR, "code": {"a": 1}}),
            ({"error": {"message": "m"}}, {"message": "m", "type": "upstream_error", "param": "", "code": None}),
            ({"error": {"type": "t"}}, {"message": "t", "type": "t", "param": "", "code": None}),
            ({"error": {"message": ["x"], "type": 5, "param": {}}}, {"type": "upstream_error", "param": ""}),
        ],
    )
    def test_openai_s_own(self, body: Any, expected: dict[str, Any]) -> None:
        error = normalise(400, json.dumps(body).encode(), None).body("1")["error"]

        assert error["message"].endswith(" (request id: 1)")
        error["message"] = error["message"].removesuffix(" (request id: 1)")
        assert {name: error[name] for name in expected} == expected

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({"error": "text"}, "text"),
            ({"message": "said"}, "said"),
            ({"msg": "said"}, "said"),
            ({"err": "said"}, "said"),
            ({"error_msg": "said"}, "said"),
            ({"header": {"message": "said"}}, "said"),
            ({"response": {"error": {"message": "said"}}}, "said"),
            ({"detail": "said"}, "said"),
            ({"error": {}}, "bad response status code 500"),
            ({"error": None, "message": "said"}, "said"),
            ({}, "bad response status code 500"),
            ([], "bad response status code 500"),
            (None, "bad response status code 500"),
            ("", "bad response status code 500"),
        ],
    )
    def test_of_others(self, body: Any, message: str) -> None:
        error = normalise(500, json.dumps(body).encode(), None)

        assert error.message.startswith(message)
        assert (error.status, error.kind, error.code) == (500, "upstream_error", "bad_response_status_code")

    def test_html_is_told_as_its_words(self) -> None:
        error = normalise(502, HTML, None)

        assert error.message == "bad response status code 502 Bad Gateway: 502 Bad Gateway nginx"
        assert error.param == "502"

    @pytest.mark.parametrize(
        ("status", "shown"), [(302, 502), (204, 502), (600, 502), (999, 502), (418, 418), (599, 599)]
    )
    def test_only_errors_are_shown_as_errors(self, status: int, shown: int) -> None:
        assert normalise(status, b"", None).status == shown

    @pytest.mark.parametrize(
        "text",
        [
            "cannot reach https://inside.corp/v1?access_token=abc",
            "Incorrect API key provided: sk-abcdef123456. You can find",
            "key AIzaSyA-1234567890 is bad",
            "Authorization: Bearer abcdef.ghijkl",
        ],
    )
    def test_addresses_and_keys_are_left_out(self, text: str) -> None:
        shown = redact(text)

        assert not any(secret in shown for secret in ("inside", "abc", "1234567890"))
        assert normalise(500, json.dumps({"error": {"message": text}}).encode(), None).message == shown

    @given(st.integers(100, 999), st.binary(max_size=80), st.one_of(st.none(), st.floats(0, 60)))
    def test_no_bytes_crash_it(self, status: int, body: bytes, pause: float | None) -> None:
        error = normalise(status, body, pause)

        assert 400 <= error.status <= 599
        assert json.loads(error.encode("1"))["error"]["message"]

    @given(
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=2),
                st.dictionaries(
                    st.sampled_from(["error", "message", "type", "code", "param", "header", "response", "detail"]),
                    inner,
                    max_size=3,
                ),
            ),
            max_leaves=8,
        )
    )
    def test_no_json_crashes_it(self, document: Any) -> None:
        error = normalise(500, json.dumps(document).encode(), None)

        assert set(json.loads(error.encode("1"))["error"]) == {"message", "type", "param", "code"}


class TestAnswers:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("shape", ["openai", "html", "empty", "odd", "text", "message"])
    @pytest.mark.parametrize("status", [400, 503])
    def test_every_shape_has_a_message_and_four_members(
        self, house: House, status: int, shape: str, stream: bool
    ) -> None:
        got = house.ask(stream, status=status, error=shape)

        assert (got.status, got.headers["content-type"]) == (status, "application/json; charset=utf-8")
        assert set(got.error) == {"message", "type", "param", "code"}
        message, _, request_id = got.error["message"].partition(" (request id: ")
        assert message
        assert request_id == got.request_id + ")"

    @pytest.mark.parametrize(
        "body",
        [
            {"error": ERROR, "choices": []},
            {"error": ERROR, "choices": None},
            {"error": ERROR, "data": []},
            {"error": "text"},
            [],
            "text",
            None,
        ],
        ids=range(7),
    )
    def test_an_error_under_a_200_is_one(self, house: House, body: Any) -> None:
        got = house.ask(error_in_200=True, error="json", body=body)

        assert got.status == 502
        assert got.error["message"]

    @pytest.mark.parametrize("shape", ["html", "empty"])
    def test_a_200_that_is_no_json_is_an_error(self, house: House, shape: str) -> None:
        got = house.ask(error_in_200=True, error=shape)

        assert (got.status, got.error["code"]) == (502, "unmarshal_response_body_failed")

    def test_one_longer_than_allowed(self, house: House) -> None:
        got = house.ask(text="x" * 2 * 1024 * 1024)

        assert (got.status, got.error["code"]) == (502, "answer_too_large")

    def test_one_that_does_not_come(self, house: House) -> None:
        got = house.ask(hang=True)

        assert (got.status, got.error["code"]) == (504, "upstream_timeout")

    def test_nobody_there_and_no_word_of_where(self, house: House) -> None:
        got = ask(house.gateway, house.user, PATH, chat("gone"))

        assert (got.status, got.error["type"], got.error["code"]) == (502, "upstream_error", "do_request_failed")
        assert b"secret" not in got.body
        assert b"127.0.0.1" not in got.body
