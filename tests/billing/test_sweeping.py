"""A sweeper ends the calls of the dead, and of nobody whose clock is merely another."""

from __future__ import annotations

import time

import pytest

from accounts.models import Token
from billing import batch
from billing.batch import post
from billing.models import Hold as HoldRow
from billing.sweeping import Sweeper
from tests.billing.money import TRANSACTIONS, charges, hold, key_of, now_holds, person, progress

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


def looks(sweeper: Sweeper, seconds: int, ends: int | None = None) -> None:
    """A look every 10 s; with `ends` the hold's process lives and beats, by a clock that starts so far off now."""
    for second in range(1_000, 1_000 + seconds + 1, 10):
        if ends is not None:
            HoldRow.objects.update(expires_at=int(time.time()) + ends + second)
        sweeper.sweep(float(second))


@pytest.mark.parametrize("off", [-2 * HOUR, 2 * HOUR])
def test_a_living_process_with_another_clock_keeps_its_holds(token, off):
    stream(token)
    looks(Sweeper(), 90, ends=off)

    assert charges() == {}
    assert HoldRow.objects.count() == 1
    HoldRow.objects.update(expires_at=0)
    post(batch.expired())


@pytest.mark.parametrize("ends", [-HOUR, HOUR], ids=["overdue", "made before the clock was set back"])
def test_what_nobody_touches_is_settled_within_forty_seconds(token, ends):
    request_id = stream(token)
    HoldRow.objects.update(expires_at=int(time.time()) + ends)
    sweeper = Sweeper()

    looks(sweeper, 30)
    assert charges() == {}
    sweeper.sweep(1_040.0)

    assert charges() == {request_id: 42}
    assert now_holds(token.user) == 0


def test_a_database_that_was_away_gives_everybody_time_to_beat_again(token):
    stream(token)
    HoldRow.objects.update(expires_at=0)
    sweeper = Sweeper()
    looks(sweeper, 30)
    sweeper.forget()
    sweeper.sweep(1_040.0)
    assert charges() == {}

    sweeper.sweep(1_080.0)  # the database stood still under the last look: again nobody could beat
    assert charges() == {}
    for second in (1_090, 1_100, 1_110, 1_120):
        sweeper.sweep(float(second))
    assert list(charges().values()) == [42]
