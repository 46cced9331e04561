"""Dashboard, analytics and a key's usage: figures exactly as the sums of usage say, in the viewer's days."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from html import unescape
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.services import create_token
from audit.services import SYSTEM
from billing.models import UsageDay, UsageHour
from console.figures.charts import sparkline
from options.services import set_option
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)
HOUR, DAY = 3600, 86_400
SUMS = ("errors", "prompt_tokens", "completion_tokens", "cached_tokens")
MIDNIGHT = int(datetime(2026, 3, 10, tzinfo=UTC).timestamp())


@pytest.fixture(autouse=True)
def _at_half_past_three() -> Any:
    with patch("django.utils.timezone.now", return_value=NOW):
        yield


def used(hour: int, user: User, model: str = "gpt-4o", *, requests: int = 1, quota: int = 0, **columns: int) -> None:
    """One hour's sums, and the same in its day, as the settlements write them."""
    exact = {"user_id": user.pk, "token_id": 0, "channel_id": 0, **columns}
    sums = {"requests": requests, "quota": quota, "elapsed": 0} | {name: exact.pop(name, 0) for name in SUMS}
    UsageHour.objects.create(hour=hour, model_name=model, group="default", **exact, **sums)
    nothing = dict.fromkeys(sums, 0)
    day, _ = UsageDay.objects.get_or_create(
        day=hour - hour % DAY, model_name=model, group="default", **exact, defaults=nothing
    )
    for name, number in sums.items():
        setattr(day, name, getattr(day, name) + number)
    day.save()


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def chart_of(page: str) -> Any:
    found = re.search(r'data-chart="([^"]*)"', page)
    assert found, "no chart on the page"
    return json.loads(unescape(found[1]))


def csv_of(answer: Any) -> list[list[str]]:
    text = b"".join(answer.streaming_content).decode().removeprefix("\ufeff")
    return list(csv.reader(io.StringIO(text)))


def test_the_chart_has_a_bar_for_each_of_the_last_seven_days(alice: User, adam: User) -> None:
    used(MIDNIGHT + 9 * HOUR, alice, quota=500_000)  # a dollar today
    used(MIDNIGHT - 3 * DAY, alice, "o3", quota=250_000)
    used(MIDNIGHT - 9 * DAY, alice, quota=7)  # before the range
    used(MIDNIGHT, adam, quota=9_999)  # somebody else's

    chart = chart_of(text_of(signed_in(alice).get("/dashboard")))

    assert chart["grain"] == "day"
    assert len(chart["x"]) == 7
    assert (chart["x"][-1], chart["scale"], chart["prefix"]) == (MIDNIGHT, 500_000, "$")
    assert {line["label"]: line["points"] for line in chart["lines"]} == {
        "gpt-4o": [0, 0, 0, 0, 0, 0, 500_000],
        "o3": [0, 0, 0, 250_000, 0, 0, 0],
    }


def test_days_are_cut_where_the_viewer_lives(alice: User) -> None:
    """D11. 16:00 UTC is midnight in Shanghai."""
    used(MIDNIGHT - 8 * HOUR, alice, requests=1)
    used(MIDNIGHT - 9 * HOUR, alice, requests=10)
    client = signed_in(alice)
    client.cookies["zone"] = "Asia/Shanghai"

    chart = chart_of(text_of(client.get("/dashboard?metric=requests")))

    assert chart["lines"][0]["points"][-2:] == [10, 1]


def test_the_cards_tell_today_alone(alice: User) -> None:
    used(MIDNIGHT + HOUR, alice, requests=3, quota=1_000_000, prompt_tokens=40, completion_tokens=2)
    used(MIDNIGHT - HOUR, alice, requests=5, quota=500_000, prompt_tokens=7, completion_tokens=7)

    page = text_of(signed_in(alice).get("/dashboard"))

    assert '<data value="1000000" title="1000000 points">$2.00</data>' in page
    assert '<span class="stat-value">3</span>' in page
    assert '<span class="stat-value">42</span>' in page


def test_money_follows_the_unit_that_the_operator_has_set(alice: User) -> None:
    """D10."""
    set_option(SYSTEM, "QuotaPerUnit", "1000")
    used(MIDNIGHT + HOUR, alice, quota=2_500)

    page = text_of(signed_in(alice).get("/dashboard"))

    assert "$2.50" in page
    assert chart_of(page)["scale"] == 1000


def test_the_table_has_the_numbers_of_the_chart(alice: User) -> None:
    used(MIDNIGHT + HOUR, alice, quota=500_000)

    page = text_of(signed_in(alice).get("/dashboard"))

    assert '<tr><th scope="row">2026-03-10</th><td class="number">$1.00</td></tr>' in page


def test_a_day_of_hours_is_told_by_the_hour(alice: User) -> None:
    used(MIDNIGHT + 15 * HOUR, alice, requests=4)

    chart = chart_of(text_of(signed_in(alice).get("/dashboard?range=24h&metric=requests")))

    assert (chart["grain"], len(chart["x"])) == ("hour", 24)
    assert chart["x"][-1] == MIDNIGHT + 15 * HOUR
    assert chart["lines"][0]["points"][-1] == 4


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("range=own", "Enter a first day and a last one that is not before it."),
        ("range=own&first=2026-03-02&last=2026-03-01", "Enter a first day and a last one that is not before it."),
        ("range=own&first=2025-01-01&last=2026-03-01", "A chart shows at most 366 days."),
        ("range=own&first=0001-01-01&last=0001-01-02", "There is nothing to tell of that day."),
        ("range=century", "Select a valid choice."),
    ],
)
def test_a_time_that_makes_no_sense_says_so_and_shows_a_week(alice: User, query: str, says: str) -> None:
    used(MIDNIGHT, alice, quota=5)
    page = text_of(signed_in(alice).get(f"/dashboard?{query}"))

    assert says in page
    assert len(chart_of(page)["x"]) == 7


def test_the_figures_alone_answer_the_page_that_asks_again(alice: User) -> None:
    answer = signed_in(alice).get("/dashboard", headers={"hx-request": "true", "hx-target": "figures"})

    assert "<html" not in text_of(answer)
    assert 'data-poll="30"' in text_of(answer)


def test_the_gateway_is_told_of_to_operators_alone(alice: User, adam: User) -> None:
    assert "Requests a minute, now" in text_of(signed_in(adam).get("/dashboard"))
    assert "Requests a minute, now" not in text_of(signed_in(alice).get("/dashboard"))


def test_root_is_told_what_is_missing(root: User, adam: User) -> None:
    assert "There is no channel yet" in text_of(signed_in(root).get("/dashboard"))
    assert "server&#x27;s address is not set" in text_of(signed_in(root).get("/dashboard"))
    assert "There is no channel yet" not in text_of(signed_in(adam).get("/dashboard"))


def test_the_download_has_points_and_moments_in_utc(alice: User) -> None:
    used(MIDNIGHT, alice, "=cmd()", quota=123)

    rows = csv_of(signed_in(alice).get("/dashboard/series.csv"))

    assert rows[0] == ["Time (UTC)", "'=cmd()"]
    assert rows[-1] == ["2026-03-10T00:00:00Z", "123"]


def test_analytics_are_of_everybody_or_of_whom_is_asked_for(adam: User, alice: User) -> None:
    used(MIDNIGHT, alice, requests=8, errors=2, quota=500_000, prompt_tokens=100, cached_tokens=25)
    used(MIDNIGHT, adam, "o3", requests=1, quota=100)
    client = signed_in(adam)

    everybody = chart_of(text_of(client.get("/analytics?metric=requests")))
    page = text_of(client.get("/analytics?user=alice&metric=requests&by=model"))

    assert {line["label"]: sum(line["points"]) for line in everybody["lines"]} == {"alice": 8, "adam": 1}
    assert {line["label"]: sum(line["points"]) for line in chart_of(page)["lines"]} == {"gpt-4o": 8}
    assert "25.0 %" in page  # failed, and cached
    assert 'href="/log?model=gpt-4o&amp;start=2026-03-04T00%3A00&amp;end=2026-03-10T16%3A00"' in page


def test_a_share_of_nothing_is_not_shown_as_none(adam: User, alice: User) -> None:
    """A model whose tokens nobody counts has no cached share; that is not 0 %."""
    used(MIDNIGHT, alice, "tts-1", requests=1)

    assert '<td class="number" data-label="Cached">–</td>' in text_of(signed_in(adam).get("/analytics?by=model"))


def test_nobody_of_that_name_has_used_anything(adam: User, alice: User) -> None:
    used(MIDNIGHT, alice, requests=8)

    assert "Nothing was used in this time." in text_of(signed_in(adam).get("/analytics?user=nobody"))


def test_the_pages_cost_the_same_however_much_was_used(adam: User) -> None:
    counts = []
    for wanted in (3, 40):
        for number in range(UsageHour.objects.count(), wanted):
            used(MIDNIGHT - number % 7 * DAY, adam, f"model-{number}", token_id=number, channel_id=number)
        client = signed_in(adam)
        with CaptureQueriesContext(connection) as queries:
            client.get("/analytics?by=channel")
            client.get("/dashboard?by=key")
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_a_keys_page_is_its_owners_and_the_operators(alice: User, adam: User) -> None:
    token = create_token(user_id=alice.pk, name="work", remain_quota=700)
    used(MIDNIGHT, alice, token_id=token.pk, requests=2, quota=100)
    bob = User.objects.create(username="bob")

    page = text_of(signed_in(alice).get(f"/token/{token.pk}"))

    assert chart_of(page)["lines"][0]["points"][-1] == 100
    assert token.key not in page
    assert "about 46 days at this pace" in page  # 700 left, 100 in six days and sixteen hours
    assert signed_in(adam).get(f"/token/{token.pk}").status_code == 200
    assert signed_in(bob).get(f"/token/{token.pk}").status_code == 404
    assert signed_in(bob).get(f"/token/{token.pk}/series.csv").status_code == 404


def test_a_guest_is_led_to_the_dashboard_by_the_old_address() -> None:
    assert Client().get("/panel")["Location"] == "/dashboard"


def test_a_spark_stays_in_its_box() -> None:
    assert sparkline([0, 5, 10]) == "0.0,30.0 60.0,16.0 120.0,2.0"
    assert sparkline([0, 0]) == "0.0,30.0 120.0,30.0"
