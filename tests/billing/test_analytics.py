"""Charts and rankings from the sums of usage: cut in the viewer's zone, and exact at both ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from accounts.tokens import create_token
from billing import analytics
from billing.analytics import (
    By,
    Grain,
    Metric,
    RangeNotUsable,
    UsageFilter,
    labels,
    ranking,
    recent_rate,
    series,
    totals,
)
from billing.models import Log, UsageDay, UsageHour

pytestmark = pytest.mark.django_db

HOUR, DAY, WEEK = 3600, 86_400, 604_800
SHANGHAI, BERLIN, KOLKATA = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")


def moment(text: str, zone: Any = UTC) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


MONDAY = moment("2026-03-02 00:00")


def use(at: int, quota: int = 1, **fields: Any) -> None:
    """One call, in both tables as the books write it."""
    key = {"user_id": 1, "token_id": 2, "channel_id": 3, "model_name": "gpt", "group": "default"}
    key.update({name: fields.pop(name) for name in list(fields) if name in key})
    sums = {"requests": 1, "errors": 0, "prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4, "elapsed": 100}
    sums.update(fields, quota=quota)
    for model, period, length in ((UsageHour, "hour", HOUR), (UsageDay, "day", DAY)):
        row, made = model.objects.get_or_create(**{period: at - at % length}, **key, defaults=sums)
        if not made:
            for name, number in sums.items():
                setattr(row, name, getattr(row, name) + number)
            row.save()


def points(found: analytics.Series) -> list[tuple[int, int]]:
    """Buckets in which something was used, of the only line."""
    (line,) = found.lines
    return [(start, point) for start, point in zip(found.buckets, line.points, strict=True) if point]


def test_totals_are_of_everything_within_the_range():
    for at in (
        MONDAY - 1,
        MONDAY,
        MONDAY + 5 * HOUR,
        MONDAY + 3 * DAY,
        MONDAY + 9 * DAY + 7 * HOUR,
        MONDAY + 9 * DAY + 8 * HOUR,
    ):
        use(at)

    found = totals(UsageFilter(MONDAY, MONDAY + 9 * DAY + 8 * HOUR))

    assert (found.requests, found.quota, found.tokens, found.cached_tokens, found.elapsed) == (4, 4, 60, 16, 400)
    assert totals(UsageFilter(MONDAY + HOUR, MONDAY + 2 * HOUR)).requests == 0


@pytest.mark.parametrize("hours", [1, 5, 23, 24, 25, 47, 49, 100])
def test_a_range_is_exact_wherever_it_begins_and_ends(hours):
    for hour in range(24 * 7):
        use(MONDAY + hour * HOUR, quota=2**0 + hour)
    start = MONDAY + 20 * HOUR

    expected = sum(1 + hour for hour in range(20, 20 + hours))
    wanted = UsageFilter(start, start + hours * HOUR)

    assert totals(wanted).quota == expected
    for grain in Grain:
        for zone in (UTC, SHANGHAI, KOLKATA):
            assert series(wanted, Metric.QUOTA, grain=grain, zone=zone).lines[0].total == expected


def test_each_filter_narrows():
    use(MONDAY)
    other: dict[str, Any] = {"user_id": 9, "token_id": 9, "channel_id": 9, "model_name": "o1", "group": "vip"}
    for name, value in other.items():
        use(MONDAY, **{name: value})

    for name, value in other.items():
        assert totals(UsageFilter(MONDAY, MONDAY + DAY, **{name: value})).requests == 1
    assert totals(UsageFilter(MONDAY, MONDAY + DAY)).requests == 6


@pytest.mark.parametrize("length", [0, -5, 367 * DAY])
def test_ranges_that_cannot_be_used(length):
    with pytest.raises(RangeNotUsable):
        UsageFilter(MONDAY, MONDAY + length)


@pytest.mark.parametrize(
    ("length", "grain"),
    [
        (HOUR, Grain.HOUR),
        (2 * DAY, Grain.HOUR),
        (2 * DAY + 1, Grain.DAY),
        (90 * DAY, Grain.DAY),
        (91 * DAY, Grain.WEEK),
    ],
)
def test_the_grain_follows_the_range(length, grain):
    assert series(UsageFilter(MONDAY, MONDAY + length), Metric.REQUESTS).grain is grain


class TestBuckets:
    def test_days_without_use_are_there_with_nothing(self):
        use(MONDAY + 2 * DAY, quota=7)

        found = series(UsageFilter(MONDAY, MONDAY + 7 * DAY), Metric.QUOTA)

        assert found.buckets == tuple(MONDAY + i * DAY for i in range(7))
        assert found.lines == (analytics.Line(None, (0, 0, 7, 0, 0, 0, 0)),)

    def test_days_are_cut_in_the_viewer_s_zone(self):
        use(moment("2026-03-02 15:59"), quota=3)  # 23:59 in Shanghai
        use(moment("2026-03-02 16:00"), quota=5)  # 0:00 of the next day there
        start = moment("2026-03-01 00:00", SHANGHAI)

        found = series(UsageFilter(start, start + 5 * DAY), Metric.QUOTA, zone=SHANGHAI)

        assert points(found) == [
            (moment("2026-03-02 00:00", SHANGHAI), 3),
            (moment("2026-03-03 00:00", SHANGHAI), 5),
        ]

    def test_days_on_which_clocks_are_changed_have_their_own_length(self):
        for day in ("2026-03-28", "2026-03-29", "2026-03-30"):
            use(moment(f"{day} 00:30", BERLIN), quota=1)
            use(moment(f"{day} 23:30", BERLIN), quota=1)
        start = moment("2026-03-27 00:00", BERLIN)

        found = series(UsageFilter(start, moment("2026-04-01 00:00", BERLIN)), Metric.QUOTA, zone=BERLIN)

        assert points(found) == [(moment(f"2026-03-{day} 00:00", BERLIN), 2) for day in (28, 29, 30)]
        assert len(found.buckets) == 5

    def test_an_hour_of_half_a_zone_belongs_to_the_day_it_begins_in(self):
        use(moment("2026-03-02 18:00"))  # 23:30 to 0:30 in Kolkata
        start = moment("2026-03-01 00:00", KOLKATA)

        found = series(UsageFilter(start, start + 4 * DAY), Metric.QUOTA, zone=KOLKATA)

        assert points(found) == [(moment("2026-03-02 00:00", KOLKATA), 1)]

    def test_hours(self):
        use(MONDAY + 5 * HOUR + 59, quota=7)

        found = series(UsageFilter(MONDAY + 30, MONDAY + DAY), Metric.QUOTA, zone=SHANGHAI)

        assert (points(found), len(found.buckets)) == ([(MONDAY + 5 * HOUR, 7)], 24)

    def test_weeks_begin_on_mondays(self):
        use(MONDAY - 1, quota=1)
        use(MONDAY, quota=2)
        use(MONDAY + WEEK - 1, quota=3)
        use(MONDAY + WEEK, quota=4)

        found = series(UsageFilter(MONDAY - 50 * DAY, MONDAY + 50 * DAY), Metric.QUOTA)

        assert points(found) == [(MONDAY - WEEK, 1), (MONDAY, 5), (MONDAY + WEEK, 4)]
        assert [datetime.fromtimestamp(start, UTC).weekday() for start in found.buckets] == [0] * len(found.buckets)

    def test_a_year(self):
        use(MONDAY, quota=2)

        found = series(UsageFilter(MONDAY - 365 * DAY, MONDAY + DAY), Metric.QUOTA, zone=SHANGHAI)

        assert (found.lines[0].total, len(found.buckets)) == (2, 54)


class TestLines:
    def test_the_biggest_ten_and_the_rest(self):
        for i in range(1, 16):
            use(MONDAY, quota=i, model_name=f"model-{i}")
            use(MONDAY + DAY, quota=i, model_name=f"model-{i}")

        found = series(UsageFilter(MONDAY, MONDAY + 3 * DAY), Metric.QUOTA, by=By.MODEL)

        assert [line.key for line in found.lines] == [*(f"model-{i}" for i in range(15, 5, -1)), None]
        assert found.lines[0].points == (15, 15, 0)
        assert found.lines[-1].points == (15, 15, 0)  # 1 + 2 + 3 + 4 + 5

    @pytest.mark.parametrize(
        ("by", "key"), [(By.TOKEN, 2), (By.USER, 1), (By.CHANNEL, 3), (By.GROUP, "default"), (By.MODEL, "gpt")]
    )
    def test_every_split(self, by, key):
        use(MONDAY, quota=7)

        (line,) = series(UsageFilter(MONDAY, MONDAY + DAY), Metric.QUOTA, by=by).lines

        assert (line.key, line.total) == (key, 7)

    @pytest.mark.parametrize(
        ("metric", "value"),
        [(Metric.QUOTA, 7), (Metric.REQUESTS, 1), (Metric.ERRORS, 1), (Metric.TOKENS, 15), (Metric.CACHED_TOKENS, 4)],
    )
    def test_every_metric(self, metric, value):
        use(MONDAY, quota=7, errors=1)

        assert series(UsageFilter(MONDAY, MONDAY + DAY), metric).lines[0].total == value

    def test_where_nothing_was_used_a_split_has_no_lines(self):
        assert series(UsageFilter(MONDAY, MONDAY + DAY), Metric.QUOTA, by=By.MODEL).lines == ()


class TestRanking:
    def test_most_first_over_days_and_hours(self):
        use(MONDAY + HOUR, quota=5, user_id=1)
        use(MONDAY + 2 * DAY, quota=4, user_id=2)
        use(MONDAY + 3 * DAY + HOUR, quota=4, user_id=2)
        use(MONDAY + 3 * DAY + HOUR, quota=1, user_id=3, errors=1)

        ranks = ranking(UsageFilter(MONDAY + HOUR, MONDAY + 3 * DAY + 2 * HOUR), By.USER, Metric.QUOTA, limit=2)

        assert [(rank.key, rank.totals.quota, rank.totals.requests) for rank in ranks] == [(2, 8, 2), (1, 5, 1)]

    def test_least_first(self):
        use(MONDAY, quota=5, model_name="a")
        use(MONDAY, quota=1, model_name="b")

        ranks = ranking(UsageFilter(MONDAY, MONDAY + DAY), By.MODEL, Metric.QUOTA, ascending=True)

        assert [rank.key for rank in ranks] == ["b", "a"]

    def test_shares_of_errors(self):
        use(MONDAY, errors=1)
        for _ in range(3):
            use(MONDAY)

        (rank,) = ranking(UsageFilter(MONDAY, MONDAY + DAY), By.CHANNEL, Metric.ERRORS)

        assert (rank.totals.error_share, analytics.Totals().error_share) == (0.25, 0.0)


def test_labels_are_today_s_names(alice, gpt):
    token = create_token(user_id=alice.pk, name="work")

    assert labels(By.USER, [alice.pk, 999, None]) == {alice.pk: "alice"}
    assert labels(By.TOKEN, [token.pk]) == {token.pk: "work"}
    assert labels(By.CHANNEL, [gpt.pk]) == {gpt.pk: "gpt"}
    assert labels(By.MODEL, ["o1", None]) == {"o1": "o1"}


def test_the_recent_rate():
    now = MONDAY + 10 * HOUR + 1800
    for kind, ago in ((2, 10), (2, 299), (6, 20), (2, 301), (1, 5)):
        Log.objects.create(type=kind, created_at=now - ago)
    use(now, errors=1)
    use(now - HOUR)
    use(now - 2 * HOUR)

    rate = recent_rate(now)

    assert (rate.requests_per_minute, rate.requests, rate.errors, rate.error_share) == (0.6, 2, 1, 0.5)
    assert rate.since == MONDAY + 9 * HOUR
