"""From a row in the queue to a letter: retries, dead letters, and who gets what."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from accounts.models import Role, User
from accounts.services import create_user
from audit.models import AuditEntry
from notices import codes, mail, pusher, queue, services
from notices.codes import Purpose
from notices.models import Kind, OutboxMessage, OutboxStatus, VerificationCode
from tests.console.conftest import signed_in
from tests.notices import mailbox
from tests.notices.mailbox import Mailbox
from tests.notices.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db

Deliver = Callable[[], int]
Configure = Callable[..., None]


def root(name: str = "ruth", email: str = "ruth@one.example") -> User:
    return create_user(username=name, password=f"{name}'s password", role=Role.ROOT, email=email)


def text_of(message: Any) -> str:
    return str(message.get_body(("plain",)).get_content())


def html_of(message: Any) -> str:
    return str(message.get_body(("html",)).get_content())


def pass_time(seconds: int) -> None:
    """Make everything that waits that much older."""
    for message in OutboxMessage.objects.all():
        message.created_at -= seconds
        message.due_at -= seconds
        message.expires_at -= seconds if message.expires_at else 0
        message.save()


def test_what_is_rolled_back_is_not_told(box: Mailbox, deliver: Deliver) -> None:
    root()
    with transaction.atomic():
        services.channel_enabled(7, "gpt")
        transaction.set_rollback(True)

    assert deliver() == 0
    assert box.messages == []


def test_a_disabled_channel_is_told_to_every_root_with_an_address(box: Mailbox, deliver: Deliver) -> None:
    root()
    root("rita", "rita@one.example")
    root("rex", "")
    create_user(username="adam", password="adam's password", role=Role.ADMIN, email="adam@one.example")

    services.channel_disabled(7, "<b>gpt</b>", "401: key & co <script>alert(1)</script>")
    while deliver():
        pass

    assert sorted(receivers for _, receivers, _ in box.arrived) == [["rita@one.example"], ["ruth@one.example"]]
    message = box.messages[0]
    assert message["Subject"] == "渠道状态变更提醒"
    assert "渠道「<b>gpt</b>」（#7）已被禁用。" in text_of(message)
    assert "401: key & co <script>alert(1)</script>" in text_of(message)
    assert "渠道「&lt;b&gt;gpt&lt;/b&gt;」（#7）已被禁用。" in html_of(message)
    assert "<script>" not in html_of(message)
    assert "401: key &amp; co &lt;script&gt;" in html_of(message)
    assert OutboxMessage.objects.count() == 0


def test_whatever_an_upstream_says_can_be_told(box: Mailbox, deliver: Deliver) -> None:
    root()
    services.channel_disabled(7, "gpt\x00", "half a pair \ud83d, a NUL \x00, too long " + "长" * 5_000)
    while deliver():
        pass

    text = text_of(box.take())
    assert "half a pair ?, a NUL , too long 长" in text
    assert text.count("长") == services.MAX_TEXT - len("half a pair x, a NUL x, too long ")


def test_an_enabled_channel_and_a_finished_test_are_told(box: Mailbox, deliver: Deliver) -> None:
    root()
    services.channel_enabled(7, "gpt")
    services.test_finished("2 channels: 1 healthy\n1 disabled: <x>")
    while deliver():
        pass

    enabled, finished = box.messages
    assert (enabled["Subject"], finished["Subject"]) == ("渠道状态变更提醒", "渠道测试完成")
    assert "渠道「gpt」（#7）已重新启用。" in text_of(enabled)
    assert "2 channels: 1 healthy\n1 disabled: <x>" in text_of(finished).replace("\r\n", "\n")
    assert "1 disabled: &lt;x&gt;" in html_of(finished)


def test_a_busy_server_is_asked_again_after_a_growing_time_and_in_the_end_no_more(
    box: Mailbox, deliver: Deliver
) -> None:
    services.password_reset("nobody@example.com")
    OutboxMessage.objects.all().delete()
    queue.post(Kind.CHANNEL_ENABLED, "ruth@one.example", facts={"channel_id": 7, "name": "gpt"})
    box.data_answers = ["451 busy"] * 6
    waits = []
    for _try in range(5):
        before = int(time.time())
        assert deliver() == 0
        message = OutboxMessage.objects.get()
        assert message.status == OutboxStatus.WAITING
        waits.append(message.due_at - before)
        assert deliver() == 0  # not due, so the server is left alone
        pass_time(waits[-1] + 2)
    assert deliver() == 0

    assert [round(wait, -1) for wait in waits] == [60, 300, 1800, 7200, 21600]
    dead = OutboxMessage.objects.get()
    assert (dead.status, dead.attempts, dead.last_error) == (OutboxStatus.DEAD, 6, "message refused: 451")
    assert (box.data_answers, box.messages) == ([], [])


def test_a_receiver_who_does_not_exist_is_given_up_at_once(box: Mailbox, deliver: Deliver) -> None:
    box.unknown.add("ruth@one.example")
    queue.post(Kind.CHANNEL_ENABLED, "ruth@one.example; rita@one.example", facts={"channel_id": 7, "name": "gpt"})

    assert deliver() == 1

    dead = OutboxMessage.objects.get()
    assert (dead.recipient, dead.status) == ("ruth@one.example", OutboxStatus.DEAD)
    assert "550" in dead.last_error


def test_a_server_that_is_away_is_asked_once_a_round(configure: Configure, deliver: Deliver) -> None:
    with mailbox.serving() as gone:
        pass
    configure(SMTPServer="127.0.0.1", SMTPPort=gone.port, SMTPFrom="robot@one.example")
    for number in range(3):
        queue.post(Kind.CHANNEL_ENABLED, f"r{number}@one.example", facts={"channel_id": 7, "name": "gpt"})

    assert deliver() == 0

    tried = set(OutboxMessage.objects.values_list("attempts", "last_error"))
    assert tried == {(1, "ConnectionRefusedError: Connection refused")}


def test_a_letter_keeps_its_id_over_all_tries(box: Mailbox, deliver: Deliver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "done", lambda message: None)  # the process dies after sending, before noting it
    queue.post(Kind.CHANNEL_ENABLED, "ruth@one.example", facts={"channel_id": 7, "name": "gpt"})
    deliver()
    deliver()
    assert len(box.messages) == 1
    OutboxMessage.objects.update(due_at=0)
    deliver()

    first, second = box.messages
    assert first["Message-ID"] == second["Message-ID"]


def test_a_code_that_comes_too_late_is_not_sent(box: Mailbox, deliver: Deliver) -> None:
    services.verification_code("dave@example.com")
    pass_time(codes.LIFETIME + 1)

    assert deliver() == 0

    assert (box.messages, OutboxMessage.objects.get().status) == ([], OutboxStatus.DEAD)
    assert VerificationCode.objects.count() == 0


def test_no_code_or_link_is_in_the_queue_the_codes_or_the_log(
    box: Mailbox, deliver: Deliver, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    User.objects.filter(pk=alice.pk).update(email="alice@example.com", email_key="alice@example.com")
    services.verification_code("dave@example.com")
    services.password_reset("alice@example.com")
    waiting = str(list(OutboxMessage.objects.values()))
    box.data_answers = ["451 busy"] * 2
    deliver()
    failed = str(list(OutboxMessage.objects.values()))
    OutboxMessage.objects.update(due_at=0)
    assert deliver() == 2

    code, link = (text_of(message) for message in box.messages)
    secrets = [re.findall(r"^    (\w{6})\r?$", code, re.MULTILINE)[0], re.findall(r"token=(\w+)", link)[0]]
    stored = str(list(VerificationCode.objects.values()))
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name != "mail.log")  # the server's
    for secret in secrets:
        assert not any(secret in place for place in (waiting, failed, stored, logged))


def test_two_who_deliver_send_each_letter_once(box: Mailbox, deliver: Deliver) -> None:
    queue.post(Kind.CHANNEL_ENABLED, "ruth@one.example", facts={"channel_id": 7, "name": "gpt"})
    (first,), (second,) = queue.due(10), queue.due(10)

    assert (queue.claim(first), queue.claim(second)) == (True, False)


def test_old_dead_letters_are_thrown_away(db: None) -> None:
    queue.post(Kind.CHANNEL_ENABLED, "a@one.example; b@one.example")
    old, new = OutboxMessage.objects.order_by("pk")
    for message in (old, new):
        queue.give_up(message, "no")
    OutboxMessage.objects.filter(pk=old.pk).update(created_at=int(time.time()) - queue.KEPT - 1)

    assert queue.purge() == 1
    assert OutboxMessage.objects.get().pk == new.pk


def test_root_sees_dead_letters_and_has_them_sent_again(box: Mailbox, deliver: Deliver) -> None:
    box.unknown.add("ruth@one.example")
    queue.post(Kind.CHANNEL_ENABLED, "ruth@one.example", facts={"channel_id": 7, "name": "gpt"})
    deliver()
    box.unknown.clear()
    client: Client = signed_in(root())
    address = "/django-admin/notices/outboxmessage/"

    assert "ruth@one.example" in client.get(address).content.decode()
    form = {"action": "send_again", "_selected_action": [OutboxMessage.objects.get().pk]}
    assert client.post(address, form).status_code == 302

    assert deliver() == 1
    assert box.take()["To"] == "ruth@one.example"
    assert AuditEntry.objects.filter(action="outbox.send_again").exists()


# ---------------------------------------------------------------- Message Pusher


def test_a_pusher_is_told_instead_of_root(box: Mailbox, configure: Configure, deliver: Deliver) -> None:
    root()
    with receiving() as pusher_server:
        configure(MessagePusherAddress=f"{pusher_server.url}/push/ruth", MessagePusherToken="the pusher's token")
        services.channel_disabled(7, "gpt", "余额不足 <b>")
        assert deliver() == 1

    (call,) = pusher_server.calls
    said = call.json()
    assert (call.method, call.path) == ("POST", "/push/ruth")
    assert set(said) == {"title", "description", "content", "url", "channel", "token"}
    assert (said["title"], said["token"], said["url"], said["channel"]) == (
        "渠道状态变更提醒",
        "the pusher's token",
        "",
        "",
    )
    assert said["description"] == said["content"]
    assert "余额不足 &lt;b&gt;" in said["content"]
    assert (box.messages, OutboxMessage.objects.count()) == ([], 0)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"success": false, "message": "no"}'),
        (200, b'{"success": "true"}'),
        (200, b"[]"),
        (200, b"<html>fine</html>"),
        (500, b'{"success": true}'),
        (302, b'{"success": true}'),
        (200, b'{"success": true}' + b" " * (pusher.MAX_ANSWER + 1)),
    ],
    ids=["false", "text", "list", "html", "500", "redirect", "endless"],
)
def test_what_is_no_success_makes_it_a_mail(
    status: int, body: bytes, box: Mailbox, configure: Configure, deliver: Deliver
) -> None:
    root()
    with receiving() as server:
        server.answer = (status, body, {"Location": f"{server.url}/elsewhere"})
        configure(MessagePusherAddress=server.url, MessagePusherToken="the pusher's token")
        services.channel_enabled(7, "gpt")
        while deliver():
            pass

    assert len(server.calls) == 1
    assert box.take()["To"] == "ruth@one.example"
    assert OutboxMessage.objects.count() == 0


def test_with_nobody_to_write_to_the_push_is_tried_again(
    configure: Configure, deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    root(email="")
    server = Receiver()
    with receiving(server):
        server.answer = (503, b"", {})
        configure(MessagePusherAddress=server.url, MessagePusherToken="the pusher's token")
        services.channel_enabled(7, "gpt")
        assert deliver() == 0
        OutboxMessage.objects.update(due_at=0)
        server.answer = (200, b'{"success": true}', {})
        assert deliver() == 1

    assert len(server.calls) == 2
    assert "the pusher's token" not in caplog.text


def test_where_nothing_is_set_up_the_letter_stays_visible(db: None, deliver: Deliver) -> None:
    root()
    services.channel_enabled(7, "gpt")

    assert deliver() == 0

    assert OutboxMessage.objects.get().last_error == "neither a message pusher nor mail to a root account is set up"


# ---------------------------------------------------------------- codes


def test_a_code_is_good_once_and_for_its_purpose_and_address_alone(db: None) -> None:
    code = codes.issue(Purpose.ADDRESS, "Dave@Example.com")

    for purpose, address in ((Purpose.RESET, "dave@example.com"), (Purpose.ADDRESS, "eve@example.com")):
        with pytest.raises(codes.WrongCode):
            codes.check(purpose, address, code)
    codes.check(Purpose.ADDRESS, "dave@example.com", f" {code.upper()} ")
    codes.spend(Purpose.ADDRESS, "dave@example.com", code)
    with pytest.raises(codes.WrongCode):
        codes.spend(Purpose.ADDRESS, "dave@example.com", code)


def test_a_newer_code_replaces_the_former(db: None) -> None:
    former, newer = (codes.issue(Purpose.ADDRESS, "dave@example.com") for _ in range(2))

    with pytest.raises(codes.WrongCode):
        codes.check(Purpose.ADDRESS, "dave@example.com", former)
    codes.check(Purpose.ADDRESS, "dave@example.com", newer)


def test_a_code_ends_after_ten_minutes(db: None) -> None:
    code = codes.issue(Purpose.ADDRESS, "dave@example.com")
    row = VerificationCode.objects.get()
    assert abs(row.expires_at - time.time() - 600) < 3
    VerificationCode.objects.update(expires_at=int(time.time()))

    with pytest.raises(codes.WrongCode):
        codes.check(Purpose.ADDRESS, "dave@example.com", code)
    with pytest.raises(codes.WrongCode):
        codes.spend(Purpose.ADDRESS, "dave@example.com", code)
    assert codes.purge() == 1


def test_after_five_wrong_tries_the_right_code_is_wrong_too(db: None) -> None:
    code = codes.issue(Purpose.ADDRESS, "dave@example.com")
    for _try in range(4):
        with pytest.raises(codes.WrongCode):
            codes.check(Purpose.ADDRESS, "dave@example.com", "000000")
    codes.check(Purpose.ADDRESS, "dave@example.com", code)  # not the fifth wrong one
    codes.check(Purpose.ADDRESS, "dave@example.com", code)
    with pytest.raises(codes.WrongCode):
        codes.check(Purpose.ADDRESS, "dave@example.com", "000000")

    with pytest.raises(codes.WrongCode):
        codes.check(Purpose.ADDRESS, "dave@example.com", code)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_spend_a_code_at_once_one_succeeds() -> None:
    code = codes.issue(Purpose.ADDRESS, "dave@example.com")
    spent: list[bool] = []
    start = threading.Barrier(8)

    def spend() -> None:
        start.wait()
        try:
            codes.spend(Purpose.ADDRESS, "dave@example.com", code)
            spent.append(True)
        except codes.WrongCode:
            spent.append(False)
        finally:
            connection.close()

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(spent) == [False] * 7 + [True]


def test_mail_is_set_up_with_a_server_and_a_sender(configure: Configure) -> None:
    from options.services import load

    assert not mail.configured(load())
    configure(SMTPServer="mail.one.example")
    assert not mail.configured(load())
    configure(SMTPAccount="robot@one.example")
    assert mail.configured(load())


@pytest.mark.django_db
@pytest.mark.parametrize("tell", [services.verification_code, services.password_reset])
def test_an_address_that_somebody_typed_is_one_address(tell: Callable[[str], None]) -> None:
    tell("one@a.example;two@b.example")

    assert list(OutboxMessage.objects.values_list("recipient", flat=True)) == ["one@a.example;two@b.example"]
