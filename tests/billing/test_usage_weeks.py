"""Weeks of usage: every chart, total and ranking is the same with them as without, whatever is written late."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError, transaction
from django.db.models import Sum

from billing import analytics, usage_weeks
from billing.analytics import By, Grain, Metric, UsageFilter, ranking, series, totals
from billing.batch.rollups import OF, PERIODS, SUMS, Of, upsert
from billing.batch.sql import open_cursor
from billing.models import Log, UsageCatchUp, UsageDay, UsageWeek
from billing.usage_catch_up import catch_up
from billing.usage_weeks import ALL, DAY, WEEK, sum_up
from jobs.table import JOBS
from tests.billing.money import TRANSACTIONS, in_threads

pytestmark = pytest.mark.django_db

MONDAY = 1_699_833_600  # 2023-11-13
NOW = MONDAY + 20 * WEEK
ZONES = [ZoneInfo(name) for name in ("UTC", "Asia/Shanghai", "America/New_York", "Asia/Kolkata")]


def on(seconds: float) -> bool:
    return False


def use(moment: int, *, user: int = 1, token: int = 2, channel: int = 3, model: str = "gpt", group: str = "") -> None:
    """One call of 7 points, as the books write it."""
    key = Of(user, token, channel, model, group)
    with open_cursor() as cursor:
        for table, period, length in PERIODS:
            upsert(cursor, table, period, {(moment - moment % length, *key): (1, 0, 10, 5, 4, 7, 100)})


def caught_up(**fields: Any) -> None:
    UsageCatchUp.objects.create(pk=1, started_at=0, **fields)


def until() -> int:
    return UsageCatchUp.objects.get().weeks_until


def quota_of(start: int, end: int) -> int:
    return totals(UsageFilter(start, end)).quota


def weeks() -> list[tuple[int, int]]:
    return list(UsageWeek.objects.filter(side=ALL).order_by("week").values_list("week", "quota"))


def check() -> None:
    """Before `weeks_until` every side of every week is, row by row, what the days are."""
    end = until()
    for side in (ALL, *OF):
        names = () if side == ALL else (side,)
        sums = {f"all_{name}": Sum(name) for name in SUMS}
        expected: dict[tuple[Any, ...], list[int]] = {}
        for day, *rest in UsageDay.objects.filter(day__lt=end).order_by().values_list("day", *names).annotate(**sums):
            into = expected.setdefault((usage_weeks.monday_of(day), *rest[: len(names)]), [0] * len(SUMS))
            for i, number in enumerate(rest[len(names) :]):
                into[i] += int(number)
        rows = UsageWeek.objects.filter(side=side, week__lt=end).values_list("week", *names, *SUMS)
        found = {row[: 1 + len(names)]: list(row[1 + len(names) :]) for row in rows}
        assert found == expected, side


@pytest.mark.parametrize("seed", range(4))
def test_every_answer_is_the_same_with_weeks_and_without(seed, monkeypatch):
    draw = random.Random(seed)
    with transaction.atomic():
        for _ in range(150):
            use(
                MONDAY + draw.randrange(12 * WEEK),
                user=draw.randrange(4),
                token=draw.randrange(6),
                channel=draw.randrange(3),
                model=draw.choice(["", "gpt", "o1", "o3"]),
                group=draw.choice(["", "vip"]),
            )
    caught_up()
    assert sum_up(on, MONDAY + draw.randrange(9 * WEEK, 14 * WEEK)) >= 8
    check()
    filters: dict[str, list[Any]] = {
        "user_id": [1], "token_id": [0, 3], "channel_id": [0, 2], "model_name": ["", "o1"], "group": ["", "vip"],
    }  # fmt: skip
    by_weeks = 0
    for _ in range(25):
        start = MONDAY - WEEK + draw.randrange(10 * WEEK)
        names = draw.sample(sorted(filters), draw.choice([0, 0, 1, 1, 2]))
        narrowed = {name: draw.choice(filters[name]) for name in names}
        wanted = UsageFilter(start, start + draw.randrange(1, draw.choice([DAY, 15 * WEEK])), **narrowed)
        by, metric, grain = draw.choice([None, *By]), draw.choice(list(Metric)), draw.choice([None, *Grain])
        zone, most = draw.choice(ZONES), draw.choice([1, 3, 10])

        def answers(
            wanted: UsageFilter = wanted, by: Any = by, metric: Any = metric, grain: Any = grain, zone: Any = zone,
            most: int = most,
        ) -> list[Any]:  # fmt: skip
            chart = series(wanted, metric, by=by, grain=grain, zone=zone, most=most)
            return [totals(wanted), chart, *(ranking(wanted, by, metric, limit=most) for by in By)]

        by_weeks += any(piece.side for piece in analytics._pieces(wanted, analytics._side(wanted, by)))
        found = answers()
        with monkeypatch.context() as patched:
            patched.setattr(analytics, "summed_until", lambda: 0)
            assert found == answers(), wanted
    assert by_weeks >= 3  # else nothing was compared


class TestWhatTheWeeksAnswer:
    @pytest.fixture(autouse=True)
    def two_weeks(self):
        """Of 7 points in truth; the weeks' rows are told to be 1,000, to see who reads them."""
        use(MONDAY)
        use(MONDAY + WEEK)
        caught_up()
        assert sum_up(on, NOW) == 2
        UsageWeek.objects.update(quota=1000)

    def test_whole_weeks_only(self):
        assert quota_of(MONDAY, MONDAY + 2 * WEEK) == 2000
        assert quota_of(MONDAY - 1, MONDAY + 2 * WEEK + 1) == 2000
        assert quota_of(MONDAY, MONDAY + 2 * WEEK - 1) == 1007
        assert quota_of(MONDAY + 3600, MONDAY + 2 * WEEK) == 1000
        assert quota_of(MONDAY, MONDAY + WEEK - 1) == 7

    @pytest.mark.parametrize(
        ("narrowed", "by", "quota"),
        [
            ({}, None, 2000),
            ({}, By.TOKEN, 2000),
            ({"model_name": "gpt"}, None, 2000),
            ({"model_name": "gpt"}, By.MODEL, 2000),
            ({"model_name": "gpt"}, By.USER, 14),
            ({"model_name": "gpt", "channel_id": 3}, None, 14),
            ({"user_id": 1}, None, 14),
            ({"user_id": 1}, By.USER, 14),
        ],
    )
    def test_one_column_at_most_and_not_one_user_s(self, narrowed, by, quota):
        wanted = UsageFilter(MONDAY, MONDAY + 2 * WEEK, **narrowed)

        (line,) = series(wanted, Metric.QUOTA, by=by, grain=Grain.WEEK).lines

        assert line.total == quota

    def test_days_are_drawn_from_days(self):
        assert series(UsageFilter(MONDAY, MONDAY + 2 * WEEK), Metric.QUOTA, grain=Grain.DAY).lines[0].total == 14

    def test_a_week_that_ended_less_than_a_day_ago_is_not_read_whatever_the_row_says(self, monkeypatch):
        monkeypatch.setattr(time, "time", lambda: MONDAY + 2 * WEEK + DAY - 1)

        assert quota_of(MONDAY, MONDAY + 2 * WEEK) == 1007


def test_a_week_is_made_a_day_after_its_end():
    use(MONDAY)
    caught_up()

    assert sum_up(on, MONDAY + WEEK + DAY - 1) == 0
    assert (sum_up(on, MONDAY + WEEK + DAY), weeks(), until()) == (1, [(MONDAY, 7)], MONDAY + WEEK)
    assert sum_up(on, MONDAY + WEEK + DAY) == 0


def test_each_side_has_a_row_for_each_of_its_own():
    use(MONDAY, user=1, model="gpt")
    use(MONDAY + DAY, user=2, model="gpt")
    caught_up()

    sum_up(on, NOW)

    rows = list(UsageWeek.objects.order_by("side", "user_id").values_list("side", *OF, "requests", "quota"))
    assert rows == [
        ("all", 0, 0, 0, "", "", 2, 14),
        ("channel_id", 0, 0, 3, "", "", 2, 14),
        ("group", 0, 0, 0, "", "", 2, 14),
        ("model_name", 0, 0, 0, "gpt", "", 2, 14),
        ("token_id", 0, 2, 0, "", "", 2, 14),
        ("user_id", 1, 0, 0, "", "", 1, 7),
        ("user_id", 2, 0, 0, "", "", 1, 7),
    ]


def test_nothing_is_made_before_earlier_calls_have_been_looked_for():
    use(MONDAY)

    assert (sum_up(on, NOW), weeks()) == (0, [])


def test_a_run_that_is_stopped_goes_on_where_it_was():
    for number in (0, 1, 5):
        use(MONDAY + number * WEEK)
    caught_up()
    pauses = iter([False, True])

    assert (sum_up(lambda seconds: next(pauses), NOW), until()) == (1, MONDAY + WEEK)
    assert (sum_up(on, NOW), until()) == (2, MONDAY + 6 * WEEK)
    check()


def test_a_week_that_fails_half_way_is_not_there(monkeypatch):
    use(MONDAY)
    caught_up()
    make: Callable[..., None] = usage_weeks._make

    def refuse(cursor: Any, week: int, side: str) -> None:
        if side == "group":
            raise OperationalError("server closed the connection unexpectedly")
        make(cursor, week, side)

    monkeypatch.setattr(usage_weeks, "_make", refuse)
    with pytest.raises(OperationalError):
        sum_up(on, NOW)

    assert (until(), UsageWeek.objects.count()) == (0, 0)


def test_earlier_calls_that_are_added_make_their_week_and_later_ones_anew():
    for number in range(4):
        use(MONDAY + number * WEEK)
    caught_up()
    sum_up(on, NOW)
    Log.objects.create(type=2, created_at=MONDAY + WEEK + DAY, quota=100)

    assert catch_up(on) == 1

    assert (until(), quota_of(MONDAY, MONDAY + 4 * WEEK)) == (MONDAY + WEEK, 128)
    assert (sum_up(on, NOW), quota_of(MONDAY, MONDAY + 4 * WEEK)) == (3, 128)
    assert weeks()[1] == (MONDAY + WEEK, 107)
    check()


def test_calls_of_a_week_that_had_none_are_in_it():
    use(MONDAY)
    use(MONDAY + 3 * WEEK)
    caught_up()
    sum_up(on, NOW)
    Log.objects.create(type=2, created_at=MONDAY + 2 * WEEK - 1, quota=100)
    catch_up(on)

    assert (sum_up(on, NOW), weeks()[1]) == (2, (MONDAY + WEEK, 100))
    check()


def test_what_a_clock_days_behind_wrote_is_found_by_the_next_run():
    for number in range(3):
        use(MONDAY + number * WEEK)
    caught_up()
    sum_up(on, NOW)
    use(MONDAY + WEEK + 3 * DAY)

    assert (sum_up(on, NOW), quota_of(MONDAY, MONDAY + 3 * WEEK)) == (2, 28)
    check()


@TRANSACTIONS
def test_lines_added_while_weeks_are_made_leave_no_stale_week(monkeypatch):
    """Two threads on connections of their own: whoever is second sees what the first one did."""
    monkeypatch.setattr(usage_weeks, "_find_stale", lambda until: None)  # would hide what the lock is for
    for number in range(8):
        use(MONDAY + number * WEEK)
    caught_up()
    draw = random.Random(1)

    def add() -> int:
        added = 0
        for _ in range(15):
            Log.objects.create(type=2, created_at=MONDAY + draw.randrange(8 * WEEK), quota=1)
            added += catch_up(on)
        return added

    def make() -> int:
        return sum(sum_up(on, NOW) for _ in range(15))

    added, made = in_threads([add, make])

    assert (added, made >= 8) == (15, True)
    check()
    sum_up(on, NOW)
    check()
    assert (until(), sum(quota for _, quota in weeks())) == (MONDAY + 8 * WEEK, 8 * 7 + 15)


def test_a_job_does_it_every_hour():
    (job,) = [job for job in JOBS if job.name == "sum up weeks of usage"]

    assert (job.every_seconds(), job.load()) == (3600, usage_weeks.scheduled)
