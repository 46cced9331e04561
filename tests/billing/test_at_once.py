"""Calls so short that hold and settlement meet in one transaction: no row in `holds`, and the same books."""

from __future__ import annotations

from billing.batch import Outcome, Verdict, post
from billing.models import Hold as HoldRow
from billing.models import LedgerEntry, Log
from tests.billing.money import (
    TRANSACTIONS,
    check,
    everything,
    hold,
    key_of,
    now_holds,
    person,
    quota,
    remain,
    settlement,
)

pytestmark = TRANSACTIONS


def ended(call, charge):
    """A settlement that was sent before its hold was known to be durable."""
    entry = settlement(call, charge)
    entry.hold = call
    return entry


def test_both_are_granted_and_nothing_stays_held():
    user = person(100)
    token = key_of(user, remain=90)
    call = hold(token, 60)

    assert post([call, ended(call, 25)]) == [Outcome(Verdict.GRANTED, 60), Outcome(Verdict.GRANTED, 25)]
    assert (quota(user), now_holds(user), HoldRow.objects.count()) == (75, 0, 0)
    token.refresh_from_db()
    assert remain(token) == 65
    assert Log.objects.get(type=2).quota == 25
    check()


def test_what_refuses_the_hold_refuses_the_settlement():
    user = person(10)
    call = hold(key_of(user), 60, least=60)

    outcomes = post([call, ended(call, 25)])

    assert [outcome.verdict for outcome in outcomes] == [Verdict.USER_SHORT, Verdict.USER_SHORT]
    assert quota(user) == 10
    assert not LedgerEntry.objects.filter(kind="charge").exists()
    check()


def test_a_charge_beyond_the_hold_is_taken_from_what_is_free():
    user = person(100)
    call = hold(key_of(user), 10)

    assert post([call, ended(call, 130)])[1] == Outcome(Verdict.GRANTED, 100, 30)
    assert quota(user) == 0
    check()


def test_posted_again_after_a_lost_answer_nothing_changes():
    user = person(100)
    call, other = hold(key_of(user), 60), hold(key_of(user), 20)
    entries = [call, ended(call, 25), other]
    first = post(entries)
    before = everything()

    assert post(entries, again=True) == first
    assert everything() == before


def test_where_one_token_is_short_the_user_is_charged_for_the_others_alone():
    user = person(1_000)
    rich, poor = key_of(user, remain=500), key_of(user, remain=30)
    calls = [hold(rich, 60), hold(poor, 60, least=60), hold(rich, 40)]

    outcomes = post([*calls, *(ended(call, 25) for call in calls)])

    assert [outcome.verdict for outcome in outcomes] == [Verdict.GRANTED, Verdict.TOKEN_SHORT, Verdict.GRANTED] * 2
    assert (quota(user), now_holds(user), HoldRow.objects.count()) == (950, 0, 0)
    for token in (rich, poor):
        token.refresh_from_db()
    assert (remain(rich), remain(poor)) == (450, 30)
    check()


def test_a_user_who_was_disabled_meanwhile_is_neither_held_nor_charged():
    user = person(1_000)
    call = hold(key_of(user), 60)
    type(user).objects.filter(pk=user.pk).update(status=2)

    assert [one.verdict for one in post([call, ended(call, 25)])] == [Verdict.USER_GONE, Verdict.USER_GONE]
    assert quota(user) == 1_000
