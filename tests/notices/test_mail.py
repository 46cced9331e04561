"""Mail on its way to a real server: encryption, accounts, headers."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import AbstractContextManager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from django.utils import timezone

from notices import mail
from notices.letters import Letter
from notices.mail import Account, MailError, MailRefused, Postman
from tests.certificates import Authority
from tests.notices import mailbox
from tests.notices.mailbox import PASSWORD, USER, Mailbox

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")

LETTER = Letter("额度提醒", "纯文本\n", "<p>网页 &amp; 文本</p>\n")


def account(box: Mailbox, **changes: Any) -> Account:
    return replace(Account("127.0.0.1", box.port, "", "", "robot@one.example", "One API"), **changes)


def serving(context: ssl.SSLContext, implicit: bool, *, login: bool = False) -> AbstractContextManager[Mailbox]:
    """A server with this certificate, in one of the two ways of using it."""
    return mailbox.serving(tls=context if implicit else None, starttls=None if implicit else context, login=login)


def send(to: Account, recipient: str = "alice@example.com", letter: Letter = LETTER) -> None:
    with Postman(to) as postman:
        postman.send(recipient, letter, "0" * 32)


def test_starttls_is_used_before_signing_in(trusted: Authority) -> None:
    with mailbox.serving(starttls=trusted.server("127.0.0.1"), login=True) as box:
        send(account(box, user=USER, password=PASSWORD))

    assert (box.signed_in, box.encrypted, len(box.messages)) == ([USER], [True], 1)


def test_port_465_is_encrypted_from_the_first_byte(trusted: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with mailbox.serving(tls=trusted.server("127.0.0.1"), login=True) as box:
        monkeypatch.setattr(mail, "IMPLICIT_TLS", box.port)
        send(account(box, user=USER, password=PASSWORD))

    assert (box.signed_in, box.encrypted, len(box.messages)) == ([USER], [True], 1)


@pytest.mark.parametrize("implicit", [True, False], ids=["implicit TLS", "STARTTLS"])
def test_a_certificate_nobody_vouches_for_is_refused(
    authority: Authority, implicit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = authority.server("127.0.0.1")
    with serving(context, implicit) as box:
        if implicit:
            monkeypatch.setattr(mail, "IMPLICIT_TLS", box.port)
        with pytest.raises(MailError, match="CERTIFICATE_VERIFY_FAILED"):
            send(account(box))

    assert box.messages == []


@pytest.mark.parametrize("implicit", [True, False], ids=["implicit TLS", "STARTTLS"])
def test_a_certificate_of_another_host_is_refused(
    trusted: Authority, implicit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = trusted.server("mail.elsewhere.example")
    with serving(context, implicit, login=True) as box:
        if implicit:
            monkeypatch.setattr(mail, "IMPLICIT_TLS", box.port)
        with pytest.raises(MailError, match="not valid for"):
            send(account(box, user=USER, password=PASSWORD))

    assert (box.messages, box.signed_in) == ([], [])


def test_a_password_is_never_sent_in_the_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        def __init__(self, socket: Any) -> None:
            self._socket = socket

        def getpeername(self) -> tuple[str, int]:
            return "192.0.2.1", 25

        def __getattr__(self, name: str) -> Any:
            return getattr(self._socket, name)

    class FromAfar(smtplib.SMTP):
        def _get_socket(self, host: str, port: int, timeout: float) -> Any:
            return Elsewhere(super()._get_socket(host, port, timeout))  # type: ignore[misc]

    monkeypatch.setattr(smtplib, "SMTP", FromAfar)
    with mailbox.serving(login=True) as box, pytest.raises(MailError, match="never sent in the clear"):
        send(account(box, user=USER, password=PASSWORD))

    assert box.signed_in == []


def test_on_this_very_machine_an_account_works_without_encryption() -> None:
    with mailbox.serving(login=True) as box:
        send(account(box, user=USER, password=PASSWORD))

    assert (box.signed_in, box.encrypted) == ([USER], [False])


def test_a_wrong_password_is_an_error_that_does_not_tell_it() -> None:
    with mailbox.serving(login=True) as box, pytest.raises(MailError) as refused:
        send(account(box, user=USER, password="not the password"))

    assert "535" in str(refused.value)
    assert "not the password" not in str(refused.value)


def test_a_letter_is_told_twice_with_date_and_id() -> None:
    with mailbox.serving() as box:
        send(account(box))

    sender, receivers, message = box.arrived[0]
    assert (sender, receivers) == ("robot@one.example", ["alice@example.com"])
    assert message["Subject"] == "额度提醒"
    assert message["From"] == "One API <robot@one.example>"
    assert message["Message-ID"] == f"<{'0' * 32}@one.example>"
    assert abs((parsedate_to_datetime(message["Date"]) - timezone.now()).total_seconds()) < 60
    text, html = message.iter_parts()
    assert (text.get_content_type(), text.get_content().strip()) == ("text/plain", "纯文本")
    assert (html.get_content_type(), html.get_content().strip()) == ("text/html", "<p>网页 &amp; 文本</p>")
    assert box.raw[0].partition(b"\r\n\r\n")[0].isascii()


@pytest.mark.parametrize(
    "name",
    [
        "网关 One API",
        'A "quoted", <odd>; name (x) @here',
        "Evil\r\nBcc: victim@example.com",
        "Evil\nSubject: other\n\nbody",
        "Evil\x00\x1b[31m",
        "=?utf-8?q?evil=0ABcc=3A_x?=",
        "长" * 200,
    ],
)
def test_no_name_can_add_a_header(name: str) -> None:
    with mailbox.serving() as box:
        send(account(box, sender_name=name), letter=replace(LETTER, subject=f"{name} 密码重置"))

    (message,) = box.messages
    assert message["Bcc"] is None
    assert [(key.lower()) for key in message].count("subject") == 1
    assert message["From"].addresses[0].addr_spec == "robot@one.example"
    if name[0] in "网A":
        assert message["From"].addresses[0].display_name == name
        assert message["Subject"] == f"{name} 密码重置"


@pytest.mark.parametrize(
    "recipient", ["alice@example.com\r\nRCPT TO:<b@x>", "a b@example.com", "alice", "ſ@x.example", "<a@b>"]
)
def test_what_is_no_address_is_refused_for_good(recipient: str) -> None:
    with mailbox.serving() as box, pytest.raises(MailRefused):
        send(account(box), recipient)

    assert box.messages == []


def test_a_domain_in_chinese_is_reached() -> None:
    with mailbox.serving() as box:
        send(account(box), "alice@例子.example")

    assert box.arrived[0][1] == ["alice@xn--fsqu00a.example"]


def test_an_unknown_receiver_is_refused_for_good_and_the_connection_serves_the_next() -> None:
    with mailbox.serving() as box:
        box.unknown.add("nobody@example.com")
        with Postman(account(box)) as postman:
            with pytest.raises(MailRefused, match="550"):
                postman.send("nobody@example.com", LETTER, "1")
            postman.send("alice@example.com", LETTER, "2")

    assert (len(box.messages), box.sessions) == (1, 1)


def test_a_server_that_is_busy_may_be_asked_again_and_its_words_are_not_repeated() -> None:
    with mailbox.serving() as box:
        box.data_answers = ["451 no, because of https://one.example/reset?token=secret", "554 the same"]
        with Postman(account(box)) as postman:
            with pytest.raises(MailError) as busy:
                postman.send("alice@example.com", LETTER, "1")
            with pytest.raises(MailRefused):
                postman.send("alice@example.com", LETTER, "1")

    assert not isinstance(busy.value, MailRefused)
    assert "token" not in str(busy.value)


def test_nobody_there_is_an_error() -> None:
    with mailbox.serving() as box:
        pass
    with pytest.raises(MailError, match="ConnectionRefusedError"):
        send(account(box))
