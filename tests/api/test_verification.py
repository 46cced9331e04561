"""Codes and links by mail over /api: registration, binding, reset; and that nobody learns which addresses are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from audit.models import AuditEntry
from audit.services import SYSTEM
from notices import delivery
from notices.models import OutboxMessage
from options.services import set_option
from tests.api.conftest import Caller
from tests.notices import mailbox
from tests.notices.mailbox import Mailbox

WRONG = {"success": False, "message": "验证码错误或已过期"}
WRONG_LINK = {"success": False, "message": "重置链接非法或已过期"}
DONE = {"success": True, "message": ""}


@pytest.fixture
def box(db: None) -> Iterator[Mailbox]:
    with mailbox.serving() as serving:
        configure(SMTPServer="127.0.0.1", SMTPPort=serving.port, SMTPFrom="robot@one.example")
        yield serving


def configure(**options: object) -> None:
    for key, value in options.items():
        set_option(SYSTEM, key, str(value))


def deliver() -> int:
    return delivery.deliver(lambda: False)


def with_address(user: User, email: str) -> User:
    User.objects.filter(pk=user.pk).update(email=email, email_key=email.lower())
    return user


def text_of(message: Any) -> str:
    return str(message.get_body(("plain",)).get_content())


def html_of(message: Any) -> str:
    return str(message.get_body(("html",)).get_content())


def code_for(box: Mailbox, email: str, address: str = "192.0.2.1") -> str:
    """Ask for a code and read it in the mail."""
    answer = Client().get("/api/verification", {"email": email}, REMOTE_ADDR=address)
    assert answer.json() == DONE
    assert deliver() == 1
    return str(re.findall(r"^    (\w{6})\r?$", text_of(box.take()), re.MULTILINE)[0])


def link_for(box: Mailbox, email: str) -> str:
    assert Client().get("/api/reset_password", {"email": email}).json() == DONE
    assert deliver() == 1
    return str(re.findall(r"https?://\S+", text_of(box.take()))[0])


def register(**body: Any) -> Any:
    body = {"username": "dave", "password": "a good password", **body}
    return Client().post("/api/user/register", body, content_type="application/json").json()


def reset(email: str, token: str) -> Any:
    body = {"email": email, "token": token}
    return Client().post("/api/user/reset", body, content_type="application/json").json()


# ---------------------------------------------------------------- the code


def test_the_code_has_six_characters_and_comes_by_mail_alone(box: Mailbox) -> None:
    configure(SystemName="网关")
    answer = Client().get("/api/verification", {"email": "dave@example.com"})

    assert answer.json() == DONE
    assert box.messages == []  # not inside the request (P13)
    deliver()
    message = box.take()
    assert (message["To"], message["Subject"]) == ("dave@example.com", "网关 邮箱验证邮件")
    assert re.search(r"^    [a-z0-9]{6}\r?$", text_of(message), re.MULTILINE)
    assert "10 分钟内有效" in text_of(message)


@pytest.mark.parametrize(
    "email", ["", "dave", "dave@", "@example.com", "a b@example.com", "dave@example.com\r\nBcc: x@y.z"]
)
def test_what_is_no_address_is_an_invalid_parameter(box: Mailbox, email: str) -> None:
    for path in ("verification", "reset_password"):
        answer = Client().get(f"/api/{path}", {"email": email}, headers={"Accept-Language": "zh-CN"})
        assert answer.json() == {"success": False, "message": "无效的参数"}
    assert OutboxMessage.objects.count() == 0


def test_only_listed_domains_get_a_code_where_that_is_on(box: Mailbox) -> None:
    configure(EmailDomainWhitelist="example.com, corp.example", EmailDomainRestrictionEnabled="true")

    def ask(email: str) -> Any:
        return Client().get("/api/verification", {"email": email}).json()

    refused = {"success": False, "message": "管理员启用了邮箱域名白名单，您的邮箱地址的域名不在白名单中"}
    assert ask("dave@evil-example.com") == refused
    assert ask("dave@sub.example.com") == refused
    assert ask("dave@EXAMPLE.com") == DONE
    assert ask("dave@corp.example") == DONE


def test_a_taken_address_is_answered_alike_and_its_owner_told(box: Mailbox, alice: User) -> None:
    with_address(alice, "Alice@example.com")

    assert Client().get("/api/verification", {"email": "alice@EXAMPLE.com"}).json() == DONE

    deliver()
    text = text_of(box.take())
    assert "已属于一个账户" in text
    assert not re.search(r"^    \w{6}\r?$", text, re.MULTILINE)


@pytest.mark.parametrize("path", ["verification", "reset_password"])
def test_the_request_does_the_same_whether_the_address_is_known_or_not(box: Mailbox, alice: User, path: str) -> None:
    with_address(alice, "alice@example.com")

    def statements(email: str) -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            assert Client().get(f"/api/{path}", {"email": email}).json() == DONE
        return [re.sub(r" WHERE .*| VALUES .*|_x\d+|\d{6,}", "", query["sql"]) for query in queries]

    statements("first@example.com")  # makes the counter of our address, which all further requests raise

    assert statements("nobody@example.com") == statements("alice@example.com")


def test_an_address_is_not_flooded(box: Mailbox) -> None:
    def ask(number: int, path: str = "verification") -> int:
        client = Client(REMOTE_ADDR=f"192.0.2.{number}")
        return client.get(f"/api/{path}", {"email": "Dave@example.com"}).status_code

    assert [ask(number) for number in range(6)] == [200] * 5 + [429]
    assert ask(7, "reset_password") == 200


def test_without_a_mail_server_that_is_said_to_everybody(alice: User) -> None:
    with_address(alice, "alice@example.com")
    for email in ("alice@example.com", "nobody@example.com"):
        answers = [Client().get(f"/api/{path}", {"email": email}).json() for path in ("verification", "reset_password")]
        assert answers == [
            {"success": False, "message": "SMTP 服务器未配置"},
            {"success": False, "message": "failed to send email: SMTP 服务器未配置"},
        ]


# ---------------------------------------------------------------- registration


def test_registering_with_a_code_stores_the_address(box: Mailbox) -> None:
    configure(EmailVerificationEnabled="true")
    code = code_for(box, "Dave@example.com")

    assert register(email="dave@example.com", verification_code=code) == DONE

    dave = User.objects.get(username="dave")
    assert (dave.email, dave.email_key) == ("dave@example.com", "dave@example.com")
    assert register(username="eve", email="dave@example.com", verification_code=code) == WRONG


def test_registering_needs_the_code_of_that_very_address(box: Mailbox) -> None:
    configure(EmailVerificationEnabled="true")
    code = code_for(box, "dave@example.com")

    missing = {"success": False, "message": "管理员开启了邮箱验证，请输入邮箱地址和验证码"}
    assert register(email="dave@example.com") == register(verification_code=code) == missing
    assert register(email="eve@example.com", verification_code=code) == WRONG
    assert register(email="dave@example.com", verification_code="000000") == WRONG
    assert not User.objects.exists()


def test_a_code_survives_a_registration_that_fails_for_another_reason(box: Mailbox, alice: User) -> None:
    configure(EmailVerificationEnabled="true")
    code = code_for(box, "dave@example.com")

    assert not register(username="alice", email="dave@example.com", verification_code=code)["success"]
    assert not register(password="short", email="dave@example.com", verification_code=code)["success"]
    assert register(email="dave@example.com", verification_code=code) == DONE


def test_a_code_is_not_guessed(box: Mailbox) -> None:
    configure(EmailVerificationEnabled="true")
    code = code_for(box, "dave@example.com")
    for number in range(5):
        assert register(email="dave@example.com", verification_code=f"00000{number}") == WRONG

    assert register(email="dave@example.com", verification_code=code) == WRONG


def test_an_address_that_was_taken_meanwhile_is_refused(box: Mailbox, alice: User) -> None:
    configure(EmailVerificationEnabled="true")
    code = code_for(box, "dave@example.com")
    with_address(alice, "dave@example.com")

    answer = register(email="dave@example.com", verification_code=code)
    assert answer == {"success": False, "message": "邮箱地址已被占用"}


def test_without_verification_no_address_is_stored(box: Mailbox) -> None:
    assert register(email="dave@example.com", verification_code="x") == DONE

    assert User.objects.get(username="dave").email == ""


# ---------------------------------------------------------------- binding


def test_binding_an_address_takes_its_code_once(box: Mailbox, user: Caller, admin: Caller) -> None:
    code = code_for(box, "Carol@example.com")

    assert user.get(f"oauth/email/bind?email=Carol@example.com&code={code}") == DONE

    assert user.get("user/self")["data"]["email"] == "Carol@example.com"
    assert AuditEntry.objects.filter(action="user.update", target=f"user:{user.user.pk}").exists()
    assert admin.get(f"oauth/email/bind?email=carol@example.com&code={code}") == WRONG


def test_an_address_belongs_to_one_account(box: Mailbox, user: Caller, alice: User) -> None:
    code = code_for(box, "carol@example.com")
    with_address(alice, "CAROL@example.com")

    answer = user.get(f"oauth/email/bind?email=carol@example.com&code={code}")

    assert answer == {"success": False, "message": "邮箱地址已被占用"}


def test_wrong_codes_are_slowed_down_by_account(box: Mailbox, user: Caller) -> None:
    code = code_for(box, "carol@example.com")

    def bind(number: int, guess: str) -> Any:
        path = f"/api/oauth/email/bind?email=c{number}@example.com&code={guess}"
        return user.client.get(path, headers=user.headers, REMOTE_ADDR=f"192.0.2.{number}")

    assert [bind(number, "000000").json() for number in range(10)] == [WRONG] * 10
    assert bind(11, code).status_code == 429


def test_binding_without_address_or_code_is_a_wrong_code(user: Caller) -> None:
    assert user.get("oauth/email/bind") == user.get("oauth/email/bind?email=x&code=1") == WRONG


def test_a_mail_of_the_operator_goes_to_the_new_address(box: Mailbox, root: Caller) -> None:
    from notices import services

    code = code_for(box, "ruth@example.com")
    root.get(f"oauth/email/bind?email=ruth@example.com&code={code}")
    services.channel_enabled(7, "gpt")
    while deliver():
        pass

    assert box.take()["To"] == "ruth@example.com"


# ---------------------------------------------------------------- reset


def test_the_link_leads_to_our_address_with_everything_encoded(box: Mailbox, alice: User) -> None:
    with_address(alice, "alice+new&token=x@example.com")
    configure(ServerAddress="https://one.example/", SystemName="网关")

    assert Client().get(f"/api/reset_password?email={quote('ALICE+new&token=x@example.com')}").json() == DONE
    deliver()
    message = box.take()
    link = re.findall(r"https://\S+", text_of(message))[0]

    assert message["Subject"] == "网关 密码重置"
    assert message["To"] == "alice+new&token=x@example.com"
    assert link.startswith("https://one.example/user/reset?email=alice%2Bnew%26token%3Dx%40example.com&token=")
    assert re.fullmatch(r"[0-9a-f]{32}", parse_qs(urlsplit(link).query)["token"][0])
    assert link.replace("&", "&amp;") in html_of(message)


def test_an_unknown_or_disabled_address_is_answered_alike_and_gets_no_mail(
    box: Mailbox, alice: User, disabled: Caller
) -> None:
    with_address(disabled.user, "dora@example.com")
    for email in ("nobody@example.com", "dora@example.com"):
        assert Client().get("/api/reset_password", {"email": email}).json() == DONE
    while deliver():
        pass

    assert (box.messages, OutboxMessage.objects.count()) == ([], 0)


def test_a_reset_hands_out_a_password_that_must_be_changed_and_ends_all_sessions(
    box: Mailbox, user: Caller, browser: Callable[..., Client]
) -> None:
    signed_in = browser(user.user)
    with_address(user.user, "carol@example.com")
    query = parse_qs(urlsplit(link_for(box, "carol@example.com")).query)

    answer = reset(query["email"][0], query["token"][0])

    password = answer["data"]
    assert answer == {**DONE, "data": password}
    assert re.fullmatch(r"[A-Za-z0-9]{12}", password)
    assert signed_in.get("/api/user/self").status_code == 401
    assert Session.objects.count() == 0
    assert user.get("user/self")["message"] == "无权进行此操作，access token 无效"
    carol = User.objects.get(pk=user.user.pk)
    assert (carol.check_password(password), carol.must_change_password) == (True, True)
    assert browser(carol, password).get("/panel").headers["Location"] == reverse("password")
    assert password not in str(list(AuditEntry.objects.values()))


def test_a_link_is_good_once(box: Mailbox, alice: User) -> None:
    with_address(alice, "alice@example.com")
    token = parse_qs(urlsplit(link_for(box, "alice@example.com")).query)["token"][0]

    assert reset("bob@example.com", token) == WRONG_LINK
    assert reset("alice@example.com", token)["success"]
    assert reset("alice@example.com", token) == WRONG_LINK


def test_a_registration_code_resets_nothing(box: Mailbox, alice: User) -> None:
    code = code_for(box, "alice@example.com")
    with_address(alice, "alice@example.com")

    assert reset("alice@example.com", code) == WRONG_LINK


def test_a_reset_needs_both_members(db: None) -> None:
    assert reset("", "x") == reset("alice@example.com", "") == {"success": False, "message": "invalid parameter"}


QUOTED = '"a;mallory@evil.example;b"@gmail.com'


@pytest.mark.parametrize("path", ["/api/verification", "/api/reset_password"])
def test_an_address_in_quotes_is_refused_and_mailed_to_nobody(db: None, path: str) -> None:
    """Taken apart at its semicolons it would reach addresses that no list allows and no limit counts."""
    configure(
        SMTPServer="localhost",
        SMTPFrom="robot@one.example",
        EmailDomainWhitelist="gmail.com",
        EmailDomainRestrictionEnabled="true",
    )

    answer = Client().get(path, {"email": QUOTED})

    assert answer.json() == {"success": False, "message": "invalid parameter"}
    assert not OutboxMessage.objects.exists()
