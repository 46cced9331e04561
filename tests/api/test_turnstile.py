"""Turnstile: asked for every call, on every route that is so marked, and never taken for passed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.test import Client

from accounts.models import User
from api import turnstile
from audit.services import SYSTEM
from options.services import set_option
from tests.api.conftest import Caller
from tests.notices.receiver import Receiver, receiving

MISSING = {"success": False, "message": "Turnstile token 为空"}
REFUSED = {"success": False, "message": "Turnstile 校验失败，请刷新重试！"}
ROUTES = [("GET", "verification"), ("GET", "reset_password"), ("POST", "user/register")]


@pytest.fixture
def cloudflare(db: None, settings: Any) -> Iterator[Receiver]:
    for key, value in (
        ("TurnstileSiteKey", "site"),
        ("TurnstileSecretKey", "the secret key"),
        ("TurnstileCheckEnabled", "true"),
    ):
        set_option(SYSTEM, key, value)
    with receiving() as receiver:
        settings.TURNSTILE_VERIFY_URL = f"{receiver.url}/siteverify"
        yield receiver


def ask(client: Client, method: str, path: str, **more: Any) -> Any:
    return client.generic(method, f"/api/{path}", b"{}", content_type="application/json", **more).json()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_each_call_is_verified_anew(cloudflare: Receiver, method: str, path: str) -> None:
    client = Client(REMOTE_ADDR="192.0.2.7")

    assert ask(client, method, path) == MISSING
    assert cloudflare.calls == []
    for number in (1, 2):
        assert ask(client, method, f"{path}?turnstile=token{number}") not in (MISSING, REFUSED)

    assert [call.form() for call in cloudflare.calls] == [
        {"secret": "the secret key", "response": f"token{number}", "remoteip": "192.0.2.7"} for number in (1, 2)
    ]
    assert "session" not in client.cookies


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"success": false, "error-codes": ["timeout-or-duplicate"]}'),
        (200, b'{"success": "true"}'),
        (200, b"[true]"),
        (200, b"<html>"),
        (500, b'{"success": true}'),
        (302, b'{"success": true}'),
        (200, b'{"success": true}' + b" " * (turnstile.MAX_ANSWER + 1)),
    ],
    ids=["refused", "text", "list", "html", "500", "redirect", "endless"],
)
def test_anything_but_a_clear_yes_is_a_no(cloudflare: Receiver, status: int, body: bytes) -> None:
    cloudflare.answer = (status, body, {"Location": f"{cloudflare.url}/elsewhere"})

    assert ask(Client(), "POST", "user/register?turnstile=token") == REFUSED
    assert len(cloudflare.calls) == 1


def test_a_verification_that_cannot_be_had_is_a_no_and_tells_no_secret(
    cloudflare: Receiver, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TURNSTILE_VERIFY_URL = "http://127.0.0.1:9/siteverify"

    assert ask(Client(), "POST", "user/register?turnstile=token") == REFUSED
    assert "Turnstile cannot be asked: ConnectError" in caplog.text
    assert "the secret key" not in caplog.text


def test_who_never_answers_is_not_waited_for(
    cloudflare: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "TIMEOUT", httpx.Timeout(0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and says nothing
        settings.TURNSTILE_VERIFY_URL = f"http://127.0.0.1:{silent.getsockname()[1]}/siteverify"

        assert ask(Client(), "POST", "user/register?turnstile=token") == REFUSED


def test_an_answer_that_trickles_in_is_a_no(cloudflare: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "DEADLINE", -1.0)

    assert ask(Client(), "POST", "user/register?turnstile=token") == REFUSED


def test_an_absurd_token_is_not_even_sent(cloudflare: Receiver) -> None:
    assert ask(Client(), "POST", f"user/register?turnstile={'x' * 3000}") == REFUSED
    assert cloudflare.calls == []


def test_an_account_somebody_guesses_at_is_signed_in_to_with_a_token_only(cloudflare: Receiver, alice: User) -> None:
    def sign_in(password: str, query: str = "") -> Any:
        body = {"username": "alice", "password": password}
        return Client().post(f"/api/user/login{query}", body, content_type="application/json").json()

    assert sign_in("alice's password")["success"]
    for _try in range(5):
        assert sign_in("wrong password")["message"].startswith("用户名或密码错误")

    assert sign_in("alice's password") == MISSING
    assert sign_in("alice's password", "?turnstile=token")["success"]


def test_where_it_is_off_nobody_is_asked(db: None, settings: Any, root: Caller) -> None:
    settings.TURNSTILE_VERIFY_URL = "http://127.0.0.1:9/siteverify"

    assert ask(Client(), "POST", "user/register") != MISSING


def test_the_secret_key_is_hidden(cloudflare: Receiver, root: Caller) -> None:
    options = {row["key"]: row["value"] for row in root.get("option")["data"]}

    assert "TurnstileSecretKey" not in options
    assert options["TurnstileSiteKey"] == "site"
