"""What providers must not answer: nothing of it signs anybody in, makes an account, or takes long."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.external import exchange
from accounts.models import User
from audit.services import SYSTEM
from options.services import set_option
from tests.accounts.conftest import PEOPLE, come_back, go, set_up
from tests.accounts.providers import Provider, providing, say
from tests.certificates import Authority

NO_IDENTITY = "返回值非法，用户字段为空，请稍后重试！"
WRONG_CODE = "验证码错误或已过期"
UNREACHABLE = {
    "github": "无法连接至 GitHub 服务器，请稍后重试！",
    "lark": "无法连接至飞书服务器，请稍后重试！",
    "oidc": "无法连接至 OIDC 服务器，请稍后重试！",
    "wechat": "无法连接至微信服务器，请稍后重试！",
}
TOKEN = {"github": "/login/oauth/access_token", "lark": "/open-apis/authen/v2/oauth/token", "oidc": "/oidc/token"}
PERSON = {
    "github": "/user",
    "lark": "/suite/passport/oauth/userinfo",
    "oidc": "/oidc/userinfo",
    "wechat": "/api/wechat/user",
}
PLACES = [(name, path) for places in (TOKEN, PERSON) for name, path in places.items()]
GOOD = {
    "access_token": "t", "id": 583231, "login": "octocat", "open_id": "ou_1", "sub": "s-1", "success": True,
    "data": "wx-1",
}  # fmt: skip
BODY = json.dumps(GOOD).encode()


def chunks_without_end(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65536)
    except OSError:  # hung up on
        handler.close_connection = True


def redirect(handler: Any) -> None:
    say(handler, 307, BODY, Location="/elsewhere")


ODD: dict[str, Callable[[Any], None]] = {
    "html": lambda handler: say(handler, 200, b"<html><body>Sign in</body></html>", Content_Type="text/html"),
    "empty": lambda handler: say(handler, 200, b""),
    "list": lambda handler: say(handler, 200, b"[" + BODY + b"]"),
    "text": lambda handler: say(handler, 200, b'"access_token"'),
    "deep": lambda handler: say(handler, 200, b"[" * 100_000),
    "not UTF-8": lambda handler: say(handler, 200, b'{"access_token": "\xff"}'),
    "error of theirs": lambda handler: say(handler, 500, BODY),
    "not modified": lambda handler: say(handler, 204, BODY),
    "redirect": redirect,
    "compressed": lambda handler: say(handler, 200, gzip.compress(BODY), Content_Encoding="gzip"),
    "huge": lambda handler: say(handler, 200, BODY + b" " * exchange.MOST),
    "endless": chunks_without_end,
    "hangs up": lambda handler: handler.wfile.close(),
}


@pytest.mark.parametrize(("name", "path"), PLACES)
@pytest.mark.parametrize("odd", list(ODD))
def test_an_answer_that_is_none_counts_as_no_answer(provider: Provider, name: str, path: str, odd: str) -> None:
    provider.instead[path] = ODD[odd]
    client = Client()

    answer = go(client, provider, name)

    assert answer == {"success": False, "message": UNREACHABLE[name]}
    assert provider.paths()[-1] == path  # what a redirect points at is never asked
    assert (User.objects.count(), client.get("/api/user/self").status_code) == (0, 401)


@pytest.mark.parametrize("name", list(TOKEN))
@pytest.mark.parametrize(
    "answer",
    [
        {"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."},
        {"code": 20003, "error": "invalid_grant"},
        {}, {"access_token": ""}, {"access_token": None}, {"access_token": 5}, {"access_token": ["t"]},
        {"access_token": " "}, {"access_token": "a\r\nX-Admin: 1"}, {"access_token": "\u00e9"},
    ],
)  # fmt: skip
def test_without_a_token_nobody_is_asked_who_it_is(provider: Provider, name: str, answer: dict[str, Any]) -> None:
    provider.instead[TOKEN[name]] = lambda handler: say(handler, 200, json.dumps(answer).encode())

    assert go(Client(), provider, name) == {"success": False, "message": NO_IDENTITY}
    assert (provider.paths(), User.objects.count()) == ([TOKEN[name]], 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("github", value) for value in (None, "", "583231", 0, -1, True, 1.5, [583231])),
        *(
            (name, value)
            for name in ("lark", "oidc", "wechat")
            for value in (None, "", " ", 5, True, ["x"], {"a": "b"})
        ),
        *((name, value) for name in ("lark", "oidc", "wechat") for value in ("a\x00", "a ", "a\u200b", "x" * 300)),
    ],
)
def test_nobody_is_signed_in_without_an_identity(provider: Provider, name: str, value: Any) -> None:
    """Not even where an account has no identity of that provider either (S9)."""
    member = {"github": "id", "lark": "open_id", "oidc": "sub", "wechat": "data"}[name]
    answer = {**GOOD, member: value}
    provider.instead[PERSON[name]] = lambda handler: say(handler, 200, json.dumps(answer).encode())

    message = WRONG_CODE if name == "wechat" else NO_IDENTITY
    assert go(Client(), provider, name) == {"success": False, "message": message}
    assert User.objects.count() == 0


@pytest.mark.parametrize("name", list(TOKEN))
def test_a_refusal_with_a_status_is_no_identity_whatever_its_body_says(provider: Provider, name: str) -> None:
    for path in (PERSON[name], TOKEN[name]):
        provider.instead[path] = lambda handler: say(handler, 401, BODY)
        assert go(Client(), provider, name) == {"success": False, "message": NO_IDENTITY}
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"success": False, "message": "关注后再试"}, "关注后再试"),
        ({"success": False, "message": "x" * 5000}, "x" * 200),
        ({"success": False, "message": {"a": 1}}, WRONG_CODE),
        ({"success": "true", "data": "wx-1"}, WRONG_CODE),
        ({"data": "wx-1"}, WRONG_CODE),
    ],
)
def test_wechat_server_says_in_its_own_words_why_not(provider: Provider, answer: dict[str, Any], message: str) -> None:
    provider.instead[PERSON["wechat"]] = lambda handler: say(handler, 200, json.dumps(answer).encode())

    assert go(Client(), provider, "wechat") == {"success": False, "message": message}
    assert User.objects.count() == 0


def test_a_code_for_wechat_server_adds_no_parameters(provider: Provider) -> None:
    come_back(Client(), "wechat", "a&id=root#b/../c?d")

    assert [asked.path for asked in provider.asked] == ["/api/wechat/user?code=a%26id%3Droot%23b%2F..%2Fc%3Fd"]


@pytest.mark.parametrize("name", list(UNREACHABLE))
def test_who_never_answers_is_not_waited_for_and_no_secret_is_told(
    provider: Provider, name: str, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exchange, "LIMIT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and says nothing
        settings.GITHUB_URL = settings.LARK_URL = url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        set_option(SYSTEM, "OidcTokenEndpoint", f"{url}/oidc/token")
        set_option(SYSTEM, "WeChatServerAddress", url)

        assert go(Client(), provider, name) == {"success": False, "message": UNREACHABLE[name]}
    assert "cannot be asked" in caplog.text
    for secret in ("the secret", "the wechat token", url):
        assert secret not in caplog.text


def test_an_answer_that_trickles_in_is_given_up(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time; together they take too long."""
    monkeypatch.setattr(exchange, "LIMIT", 0.3)

    def trickle(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b" ")
                time.sleep(0.02)
        except OSError:
            handler.close_connection = True

    provider.instead["/login/oauth/access_token"] = trickle

    assert go(Client(), provider, "github") == {"success": False, "message": UNREACHABLE["github"]}


def test_the_contract_waits_five_seconds() -> None:
    assert exchange.LIMIT == 5.0


def test_a_provider_whose_certificate_nobody_vouches_for_is_not_spoken_to(
    db: None, settings: Any, tmp_path: Path
) -> None:
    with providing(Authority(tmp_path).server("127.0.0.1")) as provider:
        set_up(provider, settings)
        for name, message in UNREACHABLE.items():
            code = provider.code(name, PEOPLE[name][0])
            assert come_back(Client(), name, code).json() == {"success": False, "message": message}
        assert provider.asked == []


@pytest.mark.parametrize("name", list(UNREACHABLE))
def test_an_address_that_is_none_is_no_error_of_ours(provider: Provider, name: str, settings: Any) -> None:
    settings.GITHUB_URL = settings.LARK_URL = "http://[::1"
    for key in ("OidcTokenEndpoint", "WeChatServerAddress"):
        set_option(SYSTEM, key, "http://xn--a.example")

    assert go(Client(), provider, name) == {"success": False, "message": UNREACHABLE[name]}
