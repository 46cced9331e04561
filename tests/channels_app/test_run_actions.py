"""After a run: testing the failed ones again, disabling them, and the table as CSV."""

from __future__ import annotations

import pytest

from channels_app import run_actions, runs, testing
from channels_app.models import Channel, ChannelStatus, Outcome, TestRun
from channels_app.run_actions import NothingFailed
from tests.channels_app.test_services import ROOT, made


@pytest.fixture
def run(db: None) -> TestRun:
    """Passed, failed, failed and disabled meanwhile, failed and deleted meanwhile."""
    row = runs.begin("all", "gpt-4", ROOT, 3)
    made(name="well")
    made(name="bad")
    made(name="bad and off", status=3)
    for channel, outcome in zip(Channel.objects.order_by("id"), (1, 2, 2), strict=True):
        runs.add_result(channel.pk, channel.name, "gpt-4", Outcome(outcome), 1.5, "=1+1", run_id=row.pk)
    runs.add_result(999, "gone", "gpt-4", Outcome.FAILED, 0.0, "no", run_id=row.pk)
    return row


def ids(*names: str) -> list[int]:
    return list(Channel.objects.filter(name__in=names).order_by("id").values_list("pk", flat=True))


def test_disabling_the_failed_ones_touches_those_still_enabled(run: TestRun) -> None:
    lines = run_actions.disable_failed(ROOT, run.pk)

    assert [line.name for line in lines] == ["bad"]
    assert dict(Channel.objects.values_list("name", "status")) == {"well": 1, "bad": 2, "bad and off": 3}
    bad = Channel.objects.get(name="bad")
    assert (bad.status, bad.status_reason) == (ChannelStatus.DISABLED, f"failed in test run #{run.pk}")
    with pytest.raises(NothingFailed):
        run_actions.disable_failed(ROOT, run.pk)


def test_the_failed_ones_that_are_left_are_tested_again_with_the_same_model(
    run: TestRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def start(*order: object) -> int:
        asked.append(order)
        return 7

    monkeypatch.setattr(testing, "start", start)

    assert run_actions.retry_failed(ROOT, run.pk) == 7
    assert asked == [("selected", ROOT, ids("bad", "bad and off"), "gpt-4", 3)]


def test_a_run_without_failures_is_not_repeated(db: None) -> None:
    with pytest.raises(NothingFailed):
        run_actions.retry_failed(ROOT, runs.begin("all", "", ROOT).pk)


def test_the_table_has_a_row_for_each_result(run: TestRun) -> None:
    first, *others = run_actions.table(runs.results(run.pk))

    assert len(first) == len(run_actions.COLUMNS)
    assert first[:7] == (ids("well")[0], "well", "gpt-4", "passed", "1.500", "=1+1", "")
    assert [row[3] for row in others] == ["failed"] * 3
