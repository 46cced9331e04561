"""The quota reminder: once per crossing, on the settled balance."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.services import create_user
from billing.models import EntryKind
from billing.services import credit
from notices import quota
from notices.models import OutboxMessage, QuotaReminder
from tests.notices.mailbox import Mailbox
from tests.notices.test_queue import html_of, text_of

pytestmark = pytest.mark.django_db

Deliver = Callable[[], int]


@pytest.fixture
def dave(db: None) -> User:
    """A paying user with 5,000 points and an address."""
    user = create_user(username="dave", password="dave's password", email="dave@example.com")
    credit(user.pk, 6_000, kind=EntryKind.OPENING)
    spend(user, 1_000)
    return user


def spend(user: User, points: int) -> None:
    credit(user.pk, -points, kind=EntryKind.CHARGE)
    User.objects.filter(pk=user.pk).update(used_quota=User.objects.get(pk=user.pk).used_quota + points)


def top_up(user: User, points: int) -> None:
    credit(user.pk, points, kind=EntryKind.TOP_UP)


def test_one_mail_for_each_crossing(dave: User, box: Mailbox, deliver: Deliver) -> None:
    assert quota.remind() == 0
    spend(dave, 4_100)
    assert quota.remind() == 1
    spend(dave, 100)
    assert quota.remind() == 0
    top_up(dave, 150)  # 950, still below 1,000
    assert quota.remind() == 0
    top_up(dave, 50)
    assert quota.remind() == 0
    spend(dave, 1)
    assert quota.remind() == 1

    assert deliver() == 2
    assert {message["Subject"] for message in box.messages} == {"额度提醒"}


def test_the_mail_tells_the_balance_in_dollars_and_where_to_top_up(
    dave: User, box: Mailbox, deliver: Deliver, configure: Callable[..., None]
) -> None:
    configure(ServerAddress="https://one.example/")
    spend(dave, 4_100)
    quota.remind()
    deliver()

    message = box.take()
    assert message["To"] == "dave@example.com"
    assert "您好，dave，您的额度即将用尽。" in text_of(message)
    assert "当前剩余额度为 $0.0018。" in text_of(message)  # 900 / 500,000
    assert "https://one.example/topup" in text_of(message)
    assert 'href="https://one.example/topup"' in html_of(message)


def test_the_balance_is_in_points_where_the_operator_wants_points(
    dave: User, box: Mailbox, deliver: Deliver, configure: Callable[..., None]
) -> None:
    configure(DisplayInCurrencyEnabled="false")
    spend(dave, 5_000)
    quota.remind()
    deliver()

    text = text_of(box.take())
    assert "您的额度已用尽。" in text
    assert "当前剩余额度为 0。" in text


def test_who_topped_up_before_the_mail_went_out_is_spared(dave: User, box: Mailbox, deliver: Deliver) -> None:
    spend(dave, 4_100)
    quota.remind()
    top_up(dave, 5_000)

    assert deliver() == 1
    assert box.messages == []


def test_accounts_that_never_paid_or_are_disabled_or_have_no_address_are_left_alone(dave: User, box: Mailbox) -> None:
    create_user(username="new", password="new's password", email="new@example.com")
    spend(dave, 4_100)
    for change in ({"status": 2}, {"status": 1, "email": "", "email_key": None}):
        User.objects.filter(pk=dave.pk).update(**change)
        assert quota.remind() == 0

    assert QuotaReminder.objects.count() == 0


def test_setting_up_mail_later_writes_to_nobody_who_ran_out_before(dave: User, configure: Callable[..., None]) -> None:
    spend(dave, 4_100)
    assert quota.remind() == 0
    configure(SMTPServer="127.0.0.1", SMTPFrom="robot@one.example")

    assert quota.remind() == 0
    assert OutboxMessage.objects.count() == 0


def test_imported_accounts_can_be_taken_note_of_in_silence(dave: User, box: Mailbox) -> None:
    spend(dave, 4_100)

    assert (quota.take_note(), quota.remind(), OutboxMessage.objects.count()) == (1, 0, 0)


def test_a_hundred_users_cost_as_many_queries_as_one(dave: User, box: Mailbox) -> None:
    def below(count: int) -> int:
        for number in range(count):
            user = create_user(
                username=f"u{count}-{number}", password="a password", email=f"u{count}-{number}@x.example"
            )
            User.objects.filter(pk=user.pk).update(used_quota=1)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert quota.remind() == count
        return len(queries)

    assert below(1) == below(100)


@pytest.mark.parametrize(("own", "told"), [(None, 0), (0, 0), (3_000, 0), (4_001, 1)])
def test_a_threshold_of_ones_own_counts_instead(
    dave: User, own: int | None, told: int, box: Mailbox, deliver: Deliver
) -> None:
    User.objects.filter(pk=dave.pk).update(remind_below=own)
    spend(dave, 1_000)  # 4,000 are left

    assert quota.remind() == told
    assert deliver() == told
    assert len(box.messages) == told


def test_who_wants_no_reminder_gets_none_with_nothing_left(dave: User, box: Mailbox) -> None:
    User.objects.filter(pk=dave.pk).update(remind_below=0)
    spend(dave, 5_000)

    assert quota.remind() == 0
