"""Runs of tests as they are watched: begun once, polled while they go on, cancelled, and what is done afterwards."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from channels_app import runs, testing
from channels_app.models import Channel, Outcome, TestRun
from channels_app.testing import AlreadyRunning, Scope
from jobs import leases
from tests.channels_app.test_services import ROOT, made
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "panel"}


@pytest.fixture
def at(adam: User) -> Client:
    return signed_in(adam)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was to be tested: (scope, ids, model, at a time)."""
    asked: list[tuple[Any, ...]] = []

    def start(scope: Scope, _actor: Any, channel_ids: Any = (), model: str = "", at_once: int = 10) -> int:
        asked.append((scope, list(channel_ids), model, at_once))
        return runs.begin(scope.value, model, ROOT, at_once).pk

    monkeypatch.setattr(testing, "start", start)
    return asked


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def run_of(*outcomes: Outcome, ended: str = "finished") -> TestRun:
    run = runs.begin("all", "", ROOT)
    runs.plan(run.pk, len(outcomes))
    for outcome in outcomes:
        channel = made(name=f"is {outcome.name.lower()}")
        runs.add_result(channel.pk, channel.name, "gpt-4o", outcome, 1.5, "=said", run_id=run.pk)
    TestRun.objects.filter(pk=run.pk).update(ended=ended, finished=int(time.time()))
    return run


def under_way() -> TestRun:
    held = leases.acquire(testing.NAME, 30)
    assert held is not None
    run = run_of(Outcome.PASSED, ended="")
    runs.plan(run.pk, 4)
    TestRun.objects.filter(pk=run.pk).update(finished=0)
    runs.hold(run.pk, held.holder)
    return run


class TestBeginning:
    @pytest.mark.parametrize(
        ("posted", "asked"),
        [
            ({"scope": "all"}, ("all", [], "", 10)),
            ({"scope": "all", "at_once": "3"}, ("all", [], "", 3)),
            ({"scope": "disabled", "model": " gpt-4 "}, ("disabled", [], "gpt-4", 10)),
        ],
    )
    def test_leads_to_the_run(self, at: Client, started: list[Any], posted: dict[str, str], asked: Any) -> None:
        answer = at.post("/channel/test-all", posted)
        assert started == [asked]
        assert answer["Location"] == f"/test-runs/{TestRun.objects.get().pk}"

    def test_offers_the_channels_that_the_filters_find(self, at: Client, started: list[Any]) -> None:
        wanted = made(name="eu 1")
        made(name="us 1")
        assert "1 channel that the filters find" in text(at.get("/channel/test-all?text=eu&sort=name"))
        assert "that the filters find" not in text(at.get("/channel/test-all?sort=name"))
        at.post("/channel/test-all", {"scope": "filter", "query": "text=eu"})
        assert started == [("filter", [wanted.pk], "", 10)]

    @pytest.mark.parametrize("posted", [{}, *({"scope": scope} for scope in ("selected", "filter", "due", "x"))])
    def test_nonsense_tests_nothing(self, at: Client, started: list[Any], posted: dict[str, str]) -> None:
        assert at.post("/channel/test-all", posted).status_code == 422
        assert started == []

    @pytest.mark.parametrize(
        ("number", "error"),
        [
            ("0", "Ensure this value is greater than or equal to 1."),
            ("21", "Ensure this value is less than or equal to 20."),
            ("x", "Enter a whole number."),
        ],
    )
    def test_at_most_twenty_at_a_time(self, at: Client, started: list[Any], number: str, error: str) -> None:
        answer = at.post("/channel/test-all", {"scope": "all", "at_once": number})
        assert (answer.status_code, started) == (422, [])
        assert error in text(answer)

    def test_with_a_pause_between_them_nobody_is_asked_how_many(self, at: Client, settings: Any) -> None:
        assert 'name="at_once" value="10"' in text(at.get("/channel/test-all"))
        settings.POLLING_INTERVAL = 1
        assert 'name="at_once"' not in text(at.get("/channel/test-all"))

    def test_a_second_start_shows_the_run_under_way(self, at: Client) -> None:
        run = under_way()
        made()
        answer = at.post("/channel/test-all", {"scope": "all"}, follow=True)
        assert answer.redirect_chain[-1][0] == f"/test-runs/{run.pk}"
        assert "Channels are being tested already; this is the run." in text(answer)
        assert TestRun.objects.count() == 1

    def test_of_chosen_rows(self, at: Client, started: list[Any]) -> None:
        channel = made()
        at.post("/channel/bulk", {"action": "test", "id": str(channel.pk)})
        assert started == [("selected", [channel.pk], "", 10)]


class TestWatching:
    def test_goes_on_every_two_seconds_until_the_run_has_ended(self, at: Client) -> None:
        """D22: there was no progress."""
        run = under_way()
        going = text(at.get(f"/test-runs/{run.pk}", headers=HTMX))
        assert "<html" not in going
        assert 'data-poll="2"' in going
        assert '<progress max="100" value="25"' in going
        assert "1 / 4" in going
        assert "Cancel the run" in going

        TestRun.objects.filter(pk=run.pk).update(ended="cancelled", finished=int(time.time()))
        over = text(at.get(f"/test-runs/{run.pk}", headers=HTMX))
        assert "data-poll" not in over
        assert "cancelled" in over

    def test_a_run_whose_process_died_is_not_running(self, at: Client) -> None:
        run = run_of(Outcome.PASSED, ended="")
        runs.hold(run.pk, "a holder that is gone")
        page = text(at.get(f"/test-runs/{run.pk}"))
        assert "broken off" in page
        assert "The server was stopped, or failed" in page
        assert "data-poll" not in page

    def test_the_list_of_channels_leads_to_it(self, at: Client) -> None:
        under_way()
        assert "Testing 1 of 4" in text(at.get("/channel"))

    def test_every_page_of_an_administrator_leads_to_it(self, at: Client, alice: User) -> None:
        run = under_way()
        assert f'href="/test-runs/{run.pk}"' in text(at.get("/token"))
        assert "Testing 1 / 4" in text(at.get("/token"))
        assert "Testing" not in text(signed_in(alice).get("/token"))

    def test_current_is_the_one_under_way_else_the_last(self, at: Client) -> None:
        assert at.get("/test-runs/current")["Location"] == "/test-runs"
        last = run_of(Outcome.PASSED)
        assert at.get("/test-runs/current")["Location"] == f"/test-runs/{last.pk}"
        going = under_way()
        run_of(Outcome.PASSED)
        assert at.get("/test-runs/current")["Location"] == f"/test-runs/{going.pk}"

    def test_results_are_filtered(self, at: Client) -> None:
        run = run_of(Outcome.PASSED, Outcome.FAILED, Outcome.SLOW)
        shown = at.get(f"/test-runs/{run.pk}?outcome=2").context["list"].rows
        assert [result.channel_name for result in shown] == ["is failed"]
        shown = at.get(f"/test-runs/{run.pk}?q=slow").context["list"].rows
        assert [result.channel_name for result in shown] == ["is slow"]

    def test_is_cancelled_once(self, at: Client) -> None:
        run = under_way()
        first = text(at.post(f"/test-runs/{run.pk}/cancel", headers=HTMX))
        assert "The run ends as soon as the tests under way have." in first
        assert "Ending …" in first
        assert "has ended already" in text(at.post(f"/test-runs/{run.pk}/cancel", follow=True))
        assert TestRun.objects.get(pk=run.pk).cancelled


class TestAfterwards:
    def test_the_failed_ones_are_tested_again(self, at: Client, started: list[Any]) -> None:
        run = run_of(Outcome.PASSED, Outcome.FAILED)
        TestRun.objects.filter(pk=run.pk).update(at_once=4)
        answer = at.post(f"/test-runs/{run.pk}/retry")
        assert started == [("selected", [Channel.objects.get(name="is failed").pk], "", 4)]
        assert answer["Location"] == f"/test-runs/{TestRun.objects.latest('id').pk}"

    def test_where_none_failed_there_is_nothing_to_do(self, at: Client) -> None:
        run = run_of(Outcome.PASSED)
        assert "Test the failed ones again" not in text(at.get(f"/test-runs/{run.pk}"))
        assert "No channel that failed is left" in text(at.post(f"/test-runs/{run.pk}/retry", follow=True))
        assert "is enabled any more" in text(at.post(f"/test-runs/{run.pk}/disable-failed", follow=True))

    def test_a_retry_waits_for_the_run_under_way(self, at: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def busy(*_: Any) -> int:
            raise AlreadyRunning

        monkeypatch.setattr(testing, "start", busy)
        run = run_of(Outcome.FAILED)
        assert at.post(f"/test-runs/{run.pk}/retry")["Location"] == "/test-runs/current"

    def test_the_failed_ones_are_disabled_after_a_question(self, at: Client) -> None:
        run = run_of(Outcome.PASSED, Outcome.FAILED)
        assert "1 channel failed." in text(at.get(f"/test-runs/{run.pk}/disable-failed"))
        assert not Channel.objects.filter(status=2).exists()
        at.post(f"/test-runs/{run.pk}/disable-failed")
        assert dict(Channel.objects.values_list("name", "status")) == {"is passed": 1, "is failed": 2}

    def test_the_table_is_taken_along_without_formulas(self, at: Client) -> None:
        run = run_of(Outcome.PASSED)
        answer = at.get(f"/test-runs/{run.pk}/results.csv")
        assert answer["Content-Disposition"] == f'attachment; filename="test-run-{run.pk}.csv"'
        header, line = csv.reader(io.StringIO(b"".join(answer).decode("utf-8-sig")))
        assert dict(zip(header, line, strict=True)) | {"tested_at": ""} == {
            "channel_id": str(Channel.objects.get().pk),
            "channel": "is passed",
            "model": "gpt-4o",
            "outcome": "passed",
            "seconds": "1.500",
            "message": "'=said",
            "change": "",
            "tested_at": "",
        }


def test_the_list_takes_as_many_queries_for_many_runs_as_for_one(at: Client) -> None:
    run_of(Outcome.PASSED)
    at.get("/test-runs")
    with CaptureQueriesContext(connection) as few:
        at.get("/test-runs")
    for _ in range(12):
        run_of(Outcome.PASSED, Outcome.FAILED)
    with CaptureQueriesContext(connection) as many:
        page = at.get("/test-runs")
    assert len(page.context["rows"]) == 13
    assert len(many) == len(few)


@pytest.mark.parametrize("path", ["", "/cancel", "/retry", "/disable-failed", "/results.csv"])
def test_a_run_that_is_not_there_is_not_found(at: Client, path: str) -> None:
    method = at.post if path in ("/cancel", "/retry") else at.get
    assert method(f"/test-runs/999{path}").status_code == 404
