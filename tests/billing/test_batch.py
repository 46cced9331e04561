"""What one transaction of the books does to the tables: holds, growth, settlements, releases, replays, sweeps."""

from __future__ import annotations

import time

import pytest
from django.db import DataError, IntegrityError, OperationalError

from accounts.models import Token, TokenStatus, User, UserStatus
from accounts.tokens import delete_token, update_token
from billing import batch
from billing.batch import Entry, Hold, Outcome, Settlement, Verdict, post
from billing.models import EntryKind, LedgerEntry, Log
from billing.models import Hold as HoldRow
from billing.services import credit, set_quota
from channels_app.models import Channel
from tests.billing.money import (
    TRANSACTIONS,
    channel,
    charges,
    everything,
    expired,
    hold,
    in_threads,
    key_of,
    new_id,
    now_holds,
    person,
    progress,
    quota,
    remain,
    settlement,
)

pytestmark = [TRANSACTIONS, pytest.mark.usefixtures("in_order")]

TOO_BIG = 2**63  # one more than a column of 64 bits holds


def granted(amount: int) -> Outcome:
    return Outcome(Verdict.GRANTED, amount)


def refused(verdict: Verdict) -> Outcome:
    return Outcome(verdict)


# --- holds


def test_a_hold_takes_nothing_but_sets_aside():
    user = person(100)
    token = key_of(user)

    assert post([hold(token, 60)]) == [granted(60)]

    user.refresh_from_db()
    assert (user.quota, user.held) == (100, 60)


def test_two_holds_share_a_balance_to_the_last_point():
    token = key_of(person(100))

    assert post([hold(token, 60), hold(token, 40)]) == [granted(60), granted(40)]


def test_what_does_not_fit_together_is_decided_in_order_of_arrival():
    token = key_of(person(100))

    first, second, third = post([hold(token, 60), hold(token, 50, patient=False), hold(token, 40)])

    assert (first, second, third) == (granted(60), refused(Verdict.USER_SHORT), granted(40))


def test_a_hold_that_others_stand_in_the_way_of_is_told_to_wait():
    token = key_of(person(100))
    post([hold(token, 60)])

    assert post([hold(token, 50)]) == [refused(Verdict.BUSY)]
    assert post([hold(token, 50, patient=False)]) == [refused(Verdict.USER_SHORT)]
    assert post([hold(token, 50, least=10, patient=False)]) == [granted(40)]


def test_a_lone_hold_takes_what_there_is_down_to_its_least():
    token = key_of(person(100))

    assert post([hold(token, 500, least=100)]) == [granted(100)]


def test_a_hold_beyond_the_balance_is_refused_and_not_told_to_wait():
    token = key_of(person(100))

    assert post([hold(token, 101)]) == [refused(Verdict.USER_SHORT)]


def test_a_limited_token_bounds_a_rich_user():
    token = key_of(person(1_000), remain=30)

    assert post([hold(token, 31)]) == [refused(Verdict.TOKEN_SHORT)]
    assert post([hold(token, 31, least=5)]) == [granted(30)]
    token.refresh_from_db()
    assert (token.remain_quota, token.held) == (30, 30)


def test_an_empty_limited_token_says_so():
    token = key_of(person(1_000), remain=0)

    assert post([hold(token, 1)]) == [refused(Verdict.TOKEN_EMPTY)]


def test_a_user_stays_free_where_one_of_two_tokens_is_short():
    user = person(1_000)
    poor, rich = key_of(user, remain=10), key_of(user, remain=1_000)

    assert post([hold(rich, 50), hold(poor, 50)]) == [granted(50), refused(Verdict.TOKEN_SHORT)]
    assert now_holds(user) == 50


@pytest.mark.parametrize("status", [UserStatus.DISABLED, UserStatus.DELETED])
def test_who_is_disabled_or_deleted_holds_nothing(status):
    user = person(100)
    token = key_of(user)
    User.objects.filter(pk=user.pk).update(status=status)

    assert post([hold(token, 1)]) == [refused(Verdict.USER_GONE)]
    assert post([hold(token, 0)]) == [refused(Verdict.USER_GONE)]


def test_a_disabled_limited_token_holds_nothing():
    token = key_of(person(100), remain=50)
    Token.objects.filter(pk=token.pk).update(status=TokenStatus.DISABLED)

    assert post([hold(token, 1)]) == [refused(Verdict.TOKEN_GONE)]


def test_a_deleted_limited_token_holds_nothing():
    token = key_of(person(100), remain=50)
    asked = hold(token, 1)
    delete_token(token.user_id, token.pk)

    assert post([asked]) == [refused(Verdict.TOKEN_GONE)]


def test_nobody_at_all_holds_nothing():
    asked = hold(key_of(person(100)), 1)
    asked.user_id = 10**12

    assert post([asked]) == [refused(Verdict.USER_GONE)]


@pytest.mark.parametrize("limit", [None, 0, 5])
@pytest.mark.parametrize("balance", [0, 5])
def test_a_call_that_costs_nothing_is_held_and_settled(limit, balance):
    """Rows that a statement matches but does not change count as found, on MySQL as elsewhere."""
    user = person(balance)
    token = key_of(user, remain=limit)
    free = hold(token, 0)

    assert post([free]) == [granted(0)]
    assert post([settlement(free, 0)]) == [granted(0)]
    user.refresh_from_db()
    assert (user.quota, user.request_count) == (balance, 1)
    assert charges() == {free.request_id: 0}


def test_a_free_call_takes_the_fast_path(django_assert_max_num_queries):
    """One update each for user and token decides; a second look at the rows would mean that 0 was misjudged."""
    token = key_of(person(0), remain=0)
    free = hold(token, 0)

    with django_assert_max_num_queries(6):  # begin, user, token, hold, commit
        post([free])
    assert HoldRow.objects.filter(pk=free.request_id).exists()


# --- progress


def test_a_streams_hold_grows_with_it():
    user = person(100)
    token = key_of(user, remain=50)
    stream = hold(token, 10)
    post([stream])

    assert post([progress(stream, 40, charge=9)]) == [granted(40)]
    user.refresh_from_db()
    token.refresh_from_db()
    assert (user.held, token.held) == (40, 40)


@pytest.mark.parametrize(("balance", "limit"), [(30, None), (30, 1_000), (1_000, 30)])
def test_a_stream_that_cannot_grow_keeps_what_it_has(balance, limit):
    user = person(balance)
    token = key_of(user, remain=limit)
    stream = hold(token, 10)
    post([stream])

    assert post([progress(stream, 40, charge=9)]) == [Outcome(Verdict.USER_SHORT, 10)]
    assert now_holds(user) == 10


def test_a_hold_does_not_shrink():
    user = person(100)
    stream = hold(key_of(user), 50)
    post([stream])

    assert post([progress(stream, 20, charge=9)]) == [granted(50)]
    assert now_holds(user) == 50


def test_a_disabled_user_s_stream_grows_no_more():
    user = person(100)
    stream = hold(key_of(user), 10)
    post([stream])
    User.objects.filter(pk=user.pk).update(status=UserStatus.DISABLED)

    assert post([progress(stream, 20, charge=9)]) == [Outcome(Verdict.USER_SHORT, 10)]


def test_a_stream_that_was_swept_goes_on_without_a_hold():
    user = person(100)
    stream = hold(key_of(user), 10)
    post([stream])
    post([settlement(stream, None)])

    assert post([progress(stream, 20, charge=9)]) == [granted(10)]
    assert now_holds(user) == 0


def test_two_progresses_of_a_stream_in_one_batch():
    """A caller cancelled while its progress waits may have left it behind when the next one comes."""
    user = person(100)
    stream = hold(key_of(user), 10)
    post([stream])

    post([progress(stream, 20, charge=9), progress(stream, 30, charge=19)])

    assert now_holds(user) == HoldRow.objects.get(pk=stream.request_id).amount == 30


# --- settlements


def test_a_settlement_takes_the_charge_and_gives_back_the_rest():
    user, place = person(100), channel()
    token = key_of(user, remain=90)
    call = hold(token, 60, channel_id=place.pk)
    post([call])

    assert post([settlement(call, 25)]) == [granted(25)]

    user.refresh_from_db()
    token.refresh_from_db()
    place.refresh_from_db()
    assert (user.quota, user.held, user.used_quota, user.request_count) == (75, 0, 25, 1)
    assert (token.remain_quota, token.held, token.used_quota) == (65, 0, 25)
    assert place.used_quota == 25
    assert not HoldRow.objects.exists()


@pytest.mark.parametrize("limit", [None, 80])
def test_a_charge_beyond_its_hold_is_taken_from_the_free_balance(limit):
    user = person(100)
    token = key_of(user, remain=limit)
    call = hold(token, 10)
    post([call])

    assert post([settlement(call, 70)]) == [granted(70)]
    assert quota(user) == 30


@pytest.mark.parametrize(("balance", "limit", "paid"), [(100, None, 60), (100, 1_000, 60), (1_000, 100, 60)])
def test_what_others_hold_is_not_taken(balance, limit, paid):
    """The rest is on the log row as uncollected (I2)."""
    user = person(balance)
    token = key_of(user, remain=limit)
    call, other = hold(token, 10), hold(token, 40)
    post([call, other])

    assert post([settlement(call, 500)]) == [Outcome(Verdict.GRANTED, paid, 500 - paid)]
    log = Log.objects.get(request_id=call.request_id)
    assert (log.quota, log.uncollected) == (paid, 500 - paid)
    assert post([settlement(other, 40)]) == [granted(40)]
    assert quota(user) == balance - 100


@pytest.mark.parametrize("told", [{}, {"usage_details": '{"cached":800}'}])
def test_a_log_row_carries_what_the_tokens_consisted_of(told):
    user = person(100)
    call = hold(key_of(user), 10)
    post([call])
    entry = settlement(call, 7)
    entry.log.update(told)
    post([entry])

    assert Log.objects.get(request_id=call.request_id).usage_details == told.get("usage_details", "")


def test_a_token_is_charged_once_where_another_one_of_its_user_is_short():
    """The sum was refused for the second token, so what had been taken from the first is given back first."""
    user = person(1_000)
    rich, poor = key_of(user, remain=500), key_of(user, remain=60)
    calls = [hold(rich, 50), hold(poor, 50)]
    post(calls)

    assert post([settlement(calls[0], 30), settlement(calls[1], 200)]) == [
        granted(30),
        Outcome(Verdict.GRANTED, 60, 140),
    ]
    rich.refresh_from_db()
    assert (rich.remain_quota, rich.held, rich.used_quota) == (470, 0, 30)
    assert (quota(user), remain(poor)) == (910, 0)


def test_a_release_leaves_no_trace():
    user = person(100)
    token = key_of(user, remain=100)
    call = hold(token, 60)
    post([call])

    post([settlement(call, None)])

    user.refresh_from_db()
    assert (user.quota, user.held, user.request_count, user.used_quota) == (100, 0, 0, 0)
    assert remain(token) == 100
    assert not Log.objects.exists()
    assert not charges()


@pytest.mark.parametrize("second", [25, 70, None])
def test_a_call_is_settled_once(second):
    user = person(100)
    call = hold(key_of(user, remain=90), 60)
    post([call])
    post([settlement(call, 25)])
    before = everything()

    post([settlement(call, second)])

    assert everything() == before


def test_a_settled_call_reports_what_was_collected_also_when_asked_again():
    user = person(100)
    call = hold(key_of(user), 60)
    post([call])
    first = post([settlement(call, 250)])

    assert first == [Outcome(Verdict.GRANTED, 100, 150)]
    assert post([settlement(call, 250)], again=True) == first


def test_a_call_that_was_released_in_the_meantime_is_charged_all_the_same():
    user = person(100)
    call = hold(key_of(user, remain=90), 60)
    post([call])
    post([settlement(call, None)])

    assert post([settlement(call, 25)]) == [granted(25)]
    assert quota(user) == 75


@pytest.mark.parametrize("charges_of_one", [(None, None), (20, None), (None, 20), (20, 20)])
def test_one_call_ended_twice_in_one_batch_is_ended_once(charges_of_one):
    user = person(100)
    token = key_of(user, remain=90)
    call, other = hold(token, 30), hold(token, 60)
    post([call, other])

    post([settlement(call, charge) for charge in charges_of_one])

    assert now_holds(user) == 60


def test_a_hold_and_its_release_in_one_batch_leave_nothing_held():
    """The order of arrival is the order in which a call's own entries count."""
    user = person(100)
    call = hold(key_of(user), 30)

    post([call, settlement(call, None)])

    assert now_holds(user) == 0


@pytest.mark.parametrize("logged", [True, False])
def test_without_logs_the_ledger_still_knows(logged):
    user = person(100)
    call = hold(key_of(user), 30)
    post([call])

    post([settlement(call, 30, logged=logged)])

    assert Log.objects.filter(type=2).exists() is logged
    assert charges() == {call.request_id: 30}
    if not logged:  # what the log does not tell the counters cannot be compared with
        User.objects.filter(pk=user.pk).delete()
        Token.objects.all().delete()
        LedgerEntry.objects.all().delete()


def test_a_balance_set_below_what_is_held_lets_the_calls_finish():
    user = person(100)
    token = key_of(user)
    first, second = hold(token, 50), hold(token, 50)
    post([first, second])
    set_quota(user.pk, 60, actor_id=1)

    assert post([settlement(first, 50)]) == [Outcome(Verdict.GRANTED, 10, 40)]
    assert post([settlement(second, 50)]) == [granted(50)]
    assert quota(user) == 0


def test_a_call_of_a_token_deleted_meanwhile_is_paid_by_its_user():
    user = person(100)
    token = key_of(user, remain=90)
    call = hold(token, 60)
    post([call])
    delete_token(user.pk, token.pk)

    assert post([settlement(call, 25)]) == [granted(25)]
    user.refresh_from_db()
    assert (user.quota, user.held) == (75, 0)


def test_a_call_of_a_user_deleted_meanwhile_is_uncollected():
    user, place = person(100), channel()
    token = key_of(user, remain=90)
    call = hold(token, 60, channel_id=place.pk)
    post([call])
    LedgerEntry.objects.filter(user_id=user.pk).delete()
    User.objects.filter(pk=user.pk).delete()  # its tokens go with it

    assert post([settlement(call, 25)]) == [Outcome(Verdict.GRANTED, 0, 25)]
    assert not HoldRow.objects.exists()


def test_a_token_that_became_unlimited_meanwhile_does_not_make_its_calls_free():
    user = person(100)
    token = key_of(user, remain=90)
    call = hold(token, 60)
    post([call])
    update_token(user.pk, token.pk, {"unlimited_quota": True, "remain_quota": -1})

    assert post([settlement(call, 25)]) == [granted(25)]
    assert quota(user) == 75


def test_a_token_that_became_unlimited_meanwhile_settles_calls_of_both_times_in_one_batch():
    user = person(1_000)
    token = key_of(user, remain=500)
    before = hold(token, 60)
    post([before])
    update_token(user.pk, token.pk, {"unlimited_quota": True})
    token.refresh_from_db()
    after = hold(token, 60)
    post([after])

    post([settlement(before, 25), settlement(after, 25)])

    token.refresh_from_db()
    assert (token.held, token.used_quota) == (0, 50)
    assert quota(user) == 950


def test_a_token_that_became_limited_meanwhile_pays_for_calls_of_its_new_time_only():
    user = person(1_000)
    token = key_of(user)
    before = hold(token, 60)
    post([before])
    update_token(user.pk, token.pk, {"unlimited_quota": False, "remain_quota": 100})
    token.refresh_from_db()
    after = hold(token, 60)
    post([after])

    post([settlement(before, 20), settlement(after, 30)])

    token.refresh_from_db()
    assert (token.held, token.remain_quota, token.used_quota) == (0, 70, 50)


# --- replays


def test_a_batch_posted_again_changes_nothing():
    rich, poor = person(1_000), person(10)
    place = channel()
    tokens = [key_of(rich, remain=500), key_of(rich), key_of(poor)]
    open_calls = [hold(token, 5, channel_id=place.pk) for token in tokens]
    post(open_calls)
    entries: list[Entry] = [
        hold(tokens[0], 50),
        settlement(open_calls[0], 100),
        progress(open_calls[1], 30, charge=20),
        hold(tokens[2], 50, patient=False),
        settlement(open_calls[2], 100),
        hold(tokens[1], 10),
    ]
    post(entries)
    before = everything()

    post(entries, again=True)

    assert everything() == before


def test_a_replayed_hold_reports_what_was_held():
    token = key_of(person(100))
    call = hold(token, 500, least=50)

    assert post([call]) == post([call], again=True) == [granted(100)]


def test_a_hold_posted_twice_without_being_said_to_be_a_replay_is_refused_whole():
    user = person(100)
    call = hold(key_of(user), 10)
    post([call])

    with pytest.raises(IntegrityError):
        post([call])
    assert now_holds(user) == 10


# --- refused by the database


@pytest.mark.parametrize(
    "poison",
    [
        {"log": {"model_name": "m" * 192}},
        {"log": {"prompt_tokens": TOO_BIG}},
        {"charge": TOO_BIG},
    ],
    ids=["text too long", "tokens too many", "charge too big"],
)
def test_an_entry_the_database_refuses_leaves_nothing_behind(poison):
    """Whatever the error, the caller gets one of Django's that is not mistaken for a database that is away."""
    user = person(1_000)
    call, other = hold(key_of(user), 10), hold(key_of(user), 10)
    post([call, other])
    before = everything()

    try:
        post([settlement(call, **{"charge": 5, **poison}), settlement(other, 5)])
    except (DataError, IntegrityError):
        assert everything() == before
    except OperationalError as error:
        pytest.fail(f"this looks like a database that is away: {error}")
    else:  # SQLite does not mind long texts, and a charge beyond all balances is mostly uncollected
        assert not HoldRow.objects.exists()


@pytest.mark.parametrize("amount", [TOO_BIG, 10**30])
def test_a_hold_of_an_absurd_amount_is_refused_for_want_of_money(amount):
    """A caller may ask for any maximum, so this is an ordinary refusal and must not be the database's error."""
    token = key_of(person(100))

    assert post([hold(token, amount)]) == [refused(Verdict.USER_SHORT)]


# --- upkeep


def test_an_expired_hold_without_progress_is_released():
    user = person(100)
    call = hold(key_of(user), 60)
    post([call])
    HoldRow.objects.update(expires_at=int(time.time()) - 1)

    post(expired())

    user.refresh_from_db()
    assert (user.quota, user.held) == (100, 0)


def test_an_expired_stream_is_charged_for_its_last_progress():
    user, place = person(100), channel()
    token = key_of(user, remain=80)
    stream = hold(token, 60, channel_id=place.pk, username="alice", token_name="key", model_name="gpt")
    post([stream])
    post([progress(stream, 60, charge=33)])
    HoldRow.objects.update(expires_at=int(time.time()) - 1)

    post(expired())

    assert quota(user) == 67
    assert remain(token) == 47
    log = Log.objects.get(request_id=stream.request_id)
    assert (log.quota, log.completion_tokens, log.username, log.content, log.estimated) == (
        33,
        33,
        "alice",
        "half-way",
        True,
    )


def test_a_stream_without_a_hold_worth_naming_still_counts_against_its_limited_token():
    """A call estimated at 0 points holds 0; what its stream came to all the same is the token's to pay."""
    user = person(100)
    token = key_of(user, remain=80)
    stream = hold(token, 0)
    post([stream])
    post([progress(stream, 0, charge=7)])
    HoldRow.objects.update(expires_at=int(time.time()) - 1)

    post(expired())

    assert (quota(user), remain(token)) == (93, 73)


def test_a_beat_keeps_a_workers_own_holds_and_nobody_elses():
    token = key_of(person(100))
    mine, theirs = hold(token, 10, worker="mine"), hold(token, 10, worker="theirs")
    post([mine, theirs])
    HoldRow.objects.update(expires_at=int(time.time()) - 1)

    batch.beat("mine")

    assert [one.request_id for one in expired()] == [theirs.request_id]


def test_who_comes_late_to_a_swept_hold_settles_nothing_twice():
    user = person(100)
    stream = hold(key_of(user), 60)
    post([stream])
    post([progress(stream, 60, charge=33)])
    HoldRow.objects.update(expires_at=int(time.time()) - 1)
    dead = expired()
    post(dead)

    post([settlement(stream, 50)])
    post(dead)

    assert quota(user) == 67
    assert charges() == {stream.request_id: 33}


def test_two_sweepers_and_the_call_itself_settle_once():
    user = person(10_000)
    token = key_of(user, remain=10_000)
    streams = [hold(token, 60) for _ in range(20)]
    post(streams)
    post([progress(stream, 60, charge=33) for stream in streams])
    HoldRow.objects.update(expires_at=int(time.time()) - 1)

    def settle_like_the_worker() -> None:
        for stream in streams:
            persistently([settlement(stream, 33)])

    def sweep() -> None:
        persistently(expired())

    assert in_threads([sweep, sweep, settle_like_the_worker]) == [None] * 3
    assert quota(user) == 10_000 - 20 * 33


# --- many at once


def persistently(entries) -> int:
    """As the books do it: a database that is busy is tried again. Returns how often it was."""
    if not entries:
        return 0
    for attempt in range(60):
        try:
            post(entries, again=attempt > 0)
            return attempt
        except OperationalError:
            time.sleep(0.01 * 2 ** min(attempt, 5))
    raise AssertionError("60 attempts were not enough")


def test_64_threads_never_hold_more_than_fits():
    user = person(40 * 7)
    tokens = [key_of(user), key_of(user, remain=40 * 7)]
    outcomes: list[Verdict] = []

    def ask(token: Token):
        def run() -> None:
            one = hold(token, 7, patient=False)
            for attempt in range(60):
                try:
                    outcomes.append(post([one], again=attempt > 0)[0].verdict)
                    return
                except OperationalError:
                    time.sleep(0.02)
            raise AssertionError("no answer")

        return run

    results = in_threads([ask(tokens[i % 2]) for i in range(64)])

    assert results == [None] * 64
    assert outcomes.count(Verdict.GRANTED) == 40
    assert now_holds(user) == 280


def test_workers_with_the_same_users_in_different_orders_do_not_stumble_over_each_other():
    """Eight writers, batches of mixed entries over the same people. An error is tried again, but must be rare."""
    people = [person(10**9) for _ in range(6)]
    tokens = [key_of(user, remain=10**8 if i % 2 else None) for i, user in enumerate(people)]
    places = [channel() for _ in range(3)]
    rounds = 25

    def worker(number: int):
        def run() -> int:
            stumbled = 0
            left_open: list[Hold] = []
            for turn in range(rounds):
                order = tokens[number % 6 :] + tokens[: number % 6]
                if (number + turn) % 2:
                    order = order[::-1]
                fresh = [hold(t, 100, worker=f"w{number}", channel_id=places[(number + turn) % 3].pk) for t in order]
                entries: list[Entry] = [*fresh]
                entries += [
                    settlement(one, 40 + turn, channel_id=places[(i + number) % 3].pk)
                    for i, one in enumerate(left_open[:4])
                ]
                entries += [progress(one, 150, charge=10) for one in left_open[4:]]
                left_open = left_open[4:] + fresh
                stumbled += persistently(entries)
                if turn % 5 == 0:
                    batch.beat(f"w{number}")
            stumbled += persistently([settlement(one, 1, channel_id=places[0].pk) for one in left_open])
            return stumbled

        return run

    results = in_threads([worker(number) for number in range(8)])

    assert all(isinstance(one, int) for one in results), results
    assert sum(results) <= 8 * rounds * 0.05, f"{sum(results)} of {8 * rounds} batches had to be written again"
    assert not HoldRow.objects.exists()
    assert len(charges()) == 8 * rounds * 6
    assert Channel.objects.filter(used_quota__gt=0).count() == 3


def test_credits_and_calls_at_once_add_up():
    user = person(100_000)
    token = key_of(user, remain=50_000)

    def spend() -> None:
        for _ in range(20):
            one = hold(token, 50)
            persistently([one])
            persistently([settlement(one, 30)])

    def give() -> None:
        for _ in range(20):
            for _attempt in range(60):
                try:
                    credit(user.pk, 11, kind=EntryKind.TOP_UP)
                    break
                except OperationalError:
                    time.sleep(0.02)

    assert in_threads([spend, give, spend, give]) == [None] * 4
    assert quota(user) == 100_000 + 40 * 11 - 40 * 30
    assert remain(token) == 50_000 - 40 * 30


def test_a_settlement_of_a_call_nobody_held_is_charged():
    user = person(100)
    token = key_of(user)
    lost = Settlement(new_id(), user.pk, token.pk, False, 30)

    assert post([lost]) == [granted(30)]
    assert quota(user) == 70
