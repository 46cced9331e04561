"""Moving money outside of calls: bounds, references, and many hands at once."""

from __future__ import annotations

import time

import pytest
from django.db import IntegrityError, OperationalError, transaction

from accounts.models import User
from audit.services import SYSTEM
from billing.batch import post
from billing.models import EntryKind, LedgerEntry, Log, LogType
from billing.services import QuotaOutOfRange, UserMissing, credit, set_quota, write_log
from options.registry import MAX_QUOTA
from redemptions.models import Redemption, RedemptionStatus
from redemptions.services import CodeUsed, create_codes, redeem
from tests.billing.money import TRANSACTIONS, hold, in_threads, key_of, person, quota, settlement

pytestmark = [TRANSACTIONS, pytest.mark.usefixtures("in_order")]


def entries_of(user: User) -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.filter(user_id=user.pk).order_by("pk").values_list("kind", "amount"))


def test_a_credit_is_an_entry_and_a_balance():
    user = person(100)

    assert credit(user.pk, 50, kind=EntryKind.TOP_UP, note="thanks", actor_id=7) == 150
    assert entries_of(user) == [("opening", 100), ("top_up", 50)]


def test_taking_away_stops_at_nothing():
    user = person(100)

    assert credit(user.pk, -100, kind=EntryKind.ADMIN) == 0
    with pytest.raises(QuotaOutOfRange):
        credit(user.pk, -1, kind=EntryKind.ADMIN)
    assert quota(user) == 0


def test_what_open_calls_hold_is_not_taken_away():
    user = person(100)
    call = hold(key_of(user), 60)
    post([call])

    with pytest.raises(QuotaOutOfRange):
        credit(user.pk, -41, kind=EntryKind.ADMIN)
    assert credit(user.pk, -40, kind=EntryKind.ADMIN) == 60
    assert post([settlement(call, 60)])[0].uncollected == 0


def test_who_holds_more_than_the_balance_can_still_be_given_something():
    user = person(100)
    post([hold(key_of(user), 100)])
    set_quota(user.pk, 10, actor_id=1)

    assert credit(user.pk, 5, kind=EntryKind.TOP_UP) == 15


@pytest.mark.parametrize("amount", [MAX_QUOTA, MAX_QUOTA + 1, -101, -MAX_QUOTA])
def test_no_credit_leads_out_of_range(amount):
    user = person(100)

    with pytest.raises(QuotaOutOfRange):
        credit(user.pk, amount, kind=EntryKind.TOP_UP)
    assert quota(user) == 100


def test_no_credit_is_too_absurd_to_be_refused():
    user = person(100)

    for amount in (2**63, -(2**63), 10**30, -(10**30)):
        with pytest.raises(QuotaOutOfRange):
            credit(user.pk, amount, kind=EntryKind.TOP_UP)
    assert quota(user) == 100


def test_a_balance_may_be_filled_to_the_brim():
    user = person(100)

    assert credit(user.pk, MAX_QUOTA - 100, kind=EntryKind.TOP_UP) == MAX_QUOTA


def test_nobody_gets_nothing():
    with pytest.raises(UserMissing):
        credit(10**12, 1, kind=EntryKind.TOP_UP)
    with pytest.raises(UserMissing):
        set_quota(10**12, 1, actor_id=1)
    assert not LedgerEntry.objects.exists()


def test_a_reference_counts_once():
    alice, bob = person(100), person(100)
    credit(alice.pk, 10, kind=EntryKind.TOP_UP, reference="payment-1")

    for user in (alice, bob):
        with pytest.raises(IntegrityError):
            credit(user.pk, 10, kind=EntryKind.TOP_UP, reference="payment-1")

    assert (quota(alice), quota(bob)) == (110, 100)


def test_many_entries_have_no_reference():
    user = person(0)

    for _ in range(3):
        credit(user.pk, 1, kind=EntryKind.GIFT)

    assert quota(user) == 3


def test_references_that_differ_in_case_are_two():
    user = person(0)

    credit(user.pk, 1, kind=EntryKind.TOP_UP, reference="Payment")
    credit(user.pk, 1, kind=EntryKind.TOP_UP, reference="payment")

    assert quota(user) == 2


def test_a_note_longer_than_its_column_is_cut():
    user = person(0)

    credit(user.pk, 1, kind=EntryKind.GIFT, note="礼" * 300)

    assert LedgerEntry.objects.get(kind="gift").note == "礼" * 255


def test_a_credit_undone_with_its_transaction_is_undone_whole():
    user = person(100)

    with transaction.atomic():
        credit(user.pk, 50, kind=EntryKind.GIFT)
        transaction.set_rollback(True)

    assert entries_of(user) == [("opening", 100)]


@pytest.mark.parametrize("new", [0, 1, 100, MAX_QUOTA])
def test_a_set_balance_is_entered_as_the_difference(new):
    user = person(100)

    assert set_quota(user.pk, new, actor_id=7) == (100, new)
    assert quota(user) == new
    assert sum(amount for _, amount in entries_of(user)) == new
    assert len(entries_of(user)) == (1 if new == 100 else 2)


@pytest.mark.parametrize("new", [-1, MAX_QUOTA + 1, 2**63, 10**30])
def test_no_balance_out_of_range_is_set(new):
    user = person(100)

    with pytest.raises(QuotaOutOfRange):
        set_quota(user.pk, new, actor_id=7)


def test_a_log_line_is_no_charge():
    user = person(100)

    write_log(user.pk, LogType.MANAGE, "said", username="alice")

    assert Log.objects.get().quota == 0


# --- many at once


def patiently(task):
    """A database that is busy, or chose this transaction to break a deadlock, is asked again."""

    def run():
        for _ in range(100):
            try:
                return task()
            except OperationalError:
                time.sleep(0.02)
        raise AssertionError("100 attempts were not enough")

    return run


def test_of_a_hundred_who_redeem_one_code_one_wins():
    people = [person(0) for _ in range(10)]
    (key,) = create_codes(SYSTEM, name="gift", count=1, quota=500)

    results = in_threads([patiently(lambda user=people[i % 10]: redeem(user.pk, key)) for i in range(100)])

    assert results.count(500) == 1
    assert sum(isinstance(one, CodeUsed) for one in results) == 99
    assert sum(quota(user) for user in people) == 500
    code = Redemption.objects.get()
    assert code.status == RedemptionStatus.USED
    assert quota(User.objects.get(pk=code.used_by)) == 500


def test_of_many_who_enter_one_reference_one_wins():
    people = [person(0) for _ in range(4)]

    results = in_threads(
        [
            patiently(lambda user=people[i % 4]: credit(user.pk, 5, kind=EntryKind.TOP_UP, reference="payment"))
            for i in range(24)
        ]
    )

    assert results.count(5) == 1
    assert sum(isinstance(one, IntegrityError) for one in results) == 23
    assert sum(quota(user) for user in people) == 5


def test_credits_and_corrections_at_once_leave_balance_and_ledger_equal():
    user = person(1_000)

    results = in_threads(
        [patiently(lambda: credit(user.pk, 10, kind=EntryKind.TOP_UP)) for _ in range(10)]
        + [patiently(lambda: credit(user.pk, -10, kind=EntryKind.ADMIN)) for _ in range(10)]
        + [patiently(lambda i=i: set_quota(user.pk, 1_000 + i, actor_id=1)) for i in range(10)]
    )

    assert not [one for one in results if isinstance(one, BaseException)]
    assert quota(user) == sum(amount for _, amount in entries_of(user))


def test_a_balance_is_not_taken_twice():
    user = person(100)

    results = in_threads([patiently(lambda: credit(user.pk, -30, kind=EntryKind.ADMIN)) for _ in range(16)])

    assert sum(isinstance(one, QuotaOutOfRange) for one in results) == 13
    assert quota(user) == 10
