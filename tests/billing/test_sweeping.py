"""A sweeper ends the calls of the dead, and of nobody whose clock is merely another."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from accounts.models import Token, User
from billing import batch
from billing.batch import post, upkeep
from billing.models import Hold as HoldRow
from billing.sweeping import PORTION, PUT_OFF, Sweeper, beat_every
from tests.billing.money import TRANSACTIONS, charges, expired, hold, key_of, now_holds, person, progress

pytestmark = [TRANSACTIONS, pytest.mark.usefixtures("in_order")]

HOUR = 3600


@pytest.fixture
def token(settings) -> Token:
    settings.HOLD_TTL = 60  # beats every 10 s: what is untouched for 31 s is dead
    return key_of(person(1_000))


def stream(token: Token) -> str:
    """An open call that has generated for 42 points so far."""
    one = hold(token, 100, worker="theirs")
    post([one])
    post([progress(one, 100, charge=42)])
    return one.request_id


def sweep(sweeper: Sweeper, second: float) -> None:
    """Look, and settle all that is dead."""
    sweeper.look(second)
    while sweeper.settle(second):
        pass


def looks(sweeper: Sweeper, seconds: int, ends: int | None = None) -> None:
    """A look every 10 s; with `ends` the hold's process lives and beats, by a clock that starts so far off now."""
    for second in range(1_000, 1_000 + seconds + 1, 10):
        if ends is not None:
            HoldRow.objects.update(expires_at=int(time.time()) + ends + second)
        sweep(sweeper, float(second))


@pytest.mark.parametrize("off", [-2 * HOUR, 2 * HOUR])
def test_a_living_process_with_another_clock_keeps_its_holds(token, off):
    stream(token)
    looks(Sweeper(), 90, ends=off)

    assert charges() == {}
    assert HoldRow.objects.count() == 1
    HoldRow.objects.update(expires_at=0)
    post(expired())


@pytest.mark.parametrize("ends", [-HOUR, HOUR], ids=["overdue", "made before the clock was set back"])
def test_what_nobody_touches_is_settled_within_forty_seconds(token, ends):
    request_id = stream(token)
    HoldRow.objects.update(expires_at=int(time.time()) + ends)
    sweeper = Sweeper()

    looks(sweeper, 30)
    assert charges() == {}
    sweep(sweeper, 1_040.0)

    assert charges() == {request_id: 42}
    assert now_holds(token.user) == 0


def test_a_database_that_was_away_gives_everybody_time_to_beat_again(token):
    stream(token)
    HoldRow.objects.update(expires_at=0)
    sweeper = Sweeper()
    looks(sweeper, 30)
    sweeper.forget()
    sweep(sweeper, 1_040.0)
    assert charges() == {}

    sweep(sweeper, 1_080.0)  # the database stood still under the last look: again nobody could beat
    assert charges() == {}
    for second in (1_090, 1_100, 1_110, 1_120):
        sweep(sweeper, float(second))
    assert list(charges().values()) == [42]


@pytest.mark.parametrize("ttl", [30, 60, 600])
@pytest.mark.parametrize("phase", [0, 3, 7, 9])
def test_a_hold_outlives_its_process_by_half_of_its_time_at_most(settings, monkeypatch, ttl, phase):
    """Its process beats and dies; a sweeper that looks once a beat, so many seconds after that, finds it dead."""
    settings.HOLD_TTL = ttl
    died = int(time.time())
    request_id = stream(key_of(person(1_000)))
    HoldRow.objects.update(expires_at=died + ttl)
    sweeper, second = Sweeper(), phase - 2 * beat_every()

    while not charges():
        monkeypatch.setattr(upkeep, "time", SimpleNamespace(time=lambda of_day=died + second: of_day))
        sweep(sweeper, 1_000 + second)
        assert second <= 1.5 * ttl
        second += beat_every()

    assert second - beat_every() >= ttl
    assert charges() == {request_id: 42}


def test_a_crowd_of_dead_holds_is_settled_together_and_in_portions(token, monkeypatch):
    posted: list[int] = []

    def seen(entries, **named):
        posted.append(len(entries))
        return post(entries, **named)

    crowd = [hold(token, 1, worker="theirs") for _ in range(2 * PORTION + 1)]
    post(crowd)
    HoldRow.objects.update(expires_at=0)
    monkeypatch.setattr(batch, "post", seen)
    sweeper = Sweeper()
    looks(sweeper, 30)
    assert posted == []

    sweeper.look(1_040.0)
    assert [sweeper.settle(1_040.0) for _ in range(3)] == [True, True, False]

    assert posted == [PORTION, PORTION, 1]
    assert not HoldRow.objects.exists()


def test_who_beats_between_the_look_and_the_settling_lives(token):
    request_id = stream(token)
    HoldRow.objects.update(expires_at=0)
    sweeper = Sweeper()
    looks(sweeper, 30)
    sweeper.look(1_040.0)

    HoldRow.objects.update(expires_at=int(time.time()) + 60)
    sweeper.settle(1_040.0)

    assert charges() == {}
    assert HoldRow.objects.get().pk == request_id
    HoldRow.objects.update(expires_at=0)
    post(expired())


def test_one_hold_that_cannot_be_settled_keeps_none_of_the_others(token, caplog):
    """Somebody has set by hand what a user holds, to less than the open hold: the database refuses to go below 0."""
    wrong = person(1_000)
    bad, good = stream(key_of(wrong)), stream(token)
    User.objects.filter(pk=wrong.pk).update(held=0)
    HoldRow.objects.update(expires_at=0)
    sweeper = Sweeper()
    looks(sweeper, 40)

    assert charges() == {good: 42}
    assert caplog.text.count(f"the hold of call {bad} cannot be settled") == 1

    User.objects.filter(pk=wrong.pk).update(held=100)
    for second in range(1_050, 1_040 + int(PUT_OFF), 10):  # left alone meanwhile
        sweep(sweeper, float(second))
    assert charges() == {good: 42}
    sweep(sweeper, 1_040 + PUT_OFF)
    assert charges() == {good: 42, bad: 42}


def test_a_hold_that_even_the_driver_does_not_take_keeps_none_of_the_others(token, monkeypatch):
    bad, good = stream(token), stream(token)
    HoldRow.objects.update(expires_at=0)

    def picky(entries, **named):
        if any(entry.request_id == bad for entry in entries):
            raise OverflowError("Python int too large")
        return post(entries, **named)

    with monkeypatch.context() as patched:
        patched.setattr(batch, "post", picky)
        looks(Sweeper(), 40)

    assert charges() == {good: 42}
    post(expired())
