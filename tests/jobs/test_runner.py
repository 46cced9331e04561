"""Due work runs once in the deployment, says how it ended, and stops when it is asked to."""

from __future__ import annotations

import threading
import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from jobs import leases, running
from jobs.management.commands import run_jobs
from jobs.models import Lease
from jobs.runner import Runner
from jobs.running import Context
from jobs.schedule import Job
from jobs.table import JOBS, minutes

pytestmark = pytest.mark.django_db(transaction=True)
HERE = "tests.jobs.test_runner"
gate = threading.Event()
calls: list[str] = []


@pytest.fixture(autouse=True)
def _quiet():
    gate.clear()
    calls.clear()
    yield
    running.stop_all(5)


def note(context: Context) -> None:
    calls.append(context.name)
    context.report({"done": 1})
    context.report({"done": 2})  # within the same second: still told at the end


def fail(context: Context) -> None:
    raise RuntimeError("a secret that belongs into the log alone")


def wait(context: Context) -> None:
    calls.append(context.name)
    while not gate.wait(0.02):
        if context.stopping:
            return


def job(work: str, every: int | None = 60, name: str = "one", timeout: int = 60) -> Job:
    return Job(name, lambda: every, f"{HERE}.{work}", timeout)


def make_due(name: str = "one", *, started: int = 0) -> None:
    Lease.objects.create(name=name, first_seen=int(time.time()) - 600, last_run_started=started)


def test_a_new_job_waits_for_its_period():
    assert Runner([job("note")]).look() == []
    assert leases.state("one").first_seen > 0


@pytest.mark.parametrize("started", [0, 1_000_000])
def test_what_was_missed_runs_once(started):
    make_due(started=started)
    runner = Runner([job("note")])

    (run,) = runner.look()

    assert run.wait(5)
    assert runner.look() == []
    assert calls == ["one"]
    state = leases.state("one")
    assert (state.running, state.outcome, state.detail) == (False, "ok", {"done": 2})
    assert state.started > started


@pytest.mark.parametrize("every", [None, 0])
def test_a_job_that_is_off_does_not_run(every):
    make_due()

    assert Runner([job("note", every)]).look() == []


def test_a_second_worker_leaves_it_alone():
    make_due()
    (run,) = Runner([job("wait")]).look()

    assert Runner([job("wait")]).look() == []
    assert running.start("one", wait, 60) is None

    gate.set()
    assert run.wait(5)
    assert calls == ["one"]


def test_a_failure_is_recorded_and_keeps_nothing():
    make_due()
    (run,) = Runner([job("fail")]).look()

    assert run.wait(5)
    state = leases.state("one")
    assert (state.running, state.outcome) == (False, "failed: RuntimeError")
    assert running.start("one", note, 60) is not None


def test_the_end_of_the_process_stops_the_work():
    make_due()
    runner = Runner([job("wait")])
    runner.start()
    end = time.monotonic() + 10
    while not calls and time.monotonic() < end:
        time.sleep(0.02)

    runner.stop()

    state = leases.state("one")
    assert (state.running, state.outcome) == (False, "stopped")


def test_work_past_its_time_is_asked_to_stop():
    run = running.start("one", wait, 0.2)

    assert run is not None
    assert run.wait(5)
    assert run.outcome == "stopped"


def test_work_whose_lease_was_taken_is_asked_to_stop(monkeypatch):
    monkeypatch.setattr(running, "RENEWAL", 0.1)
    run = running.start("one", wait, 60)
    assert run is not None
    Lease.objects.update(holder="somebody else")

    assert run.wait(5)
    state = leases.state("one")
    assert state.outcome == ""  # not its to write any more


@pytest.mark.parametrize("column", ["first_seen", "last_run_started"])
def test_a_clock_that_was_ahead_does_not_stop_a_job(column):
    now = int(time.time())
    Lease.objects.create(name="one", **{"first_seen": now - 600, column: now + 365 * 86_400})
    runner = Runner([job("note")])

    (run,) = runner.look()

    assert run.wait(5)
    assert runner.look() == []
    assert calls == ["one"]
    assert leases.state("one").started < now + 3600


@pytest.mark.parametrize("kind", ["job", "lease"])
def test_a_thread_that_cannot_start_ends_its_run_and_neither_the_others_nor_what_comes_later(monkeypatch, kind):
    make_due("one")
    make_due("two")
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == f"{kind} one":
            raise RuntimeError("can't start new thread")
        start(thread)

    runner = Runner([job("note"), job("note", name="two")])
    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", refuse)
        runner.start()
        end = time.monotonic() + 30
        while calls != ["two"]:
            assert time.monotonic() < end
            time.sleep(0.02)
        runner.stop()

    state = leases.state("one")
    assert (state.running, state.outcome) == (False, "failed: no more threads")
    again = running.start("one", note, 60)
    assert again is not None
    assert again.wait(5)
    assert calls == ["two", "one"]


def test_a_lease_that_cannot_be_renewed_for_a_moment_is_renewed_later(monkeypatch):
    monkeypatch.setattr(running, "RENEWAL", 0.05)
    renew, asked, renewed = leases.renew, threading.Event(), threading.Event()

    def at_the_second_time(held: leases.Held, seconds: int) -> bool:
        if not asked.is_set():
            asked.set()
            raise ValueError("I/O operation on closed file")  # what a driver may say of a connection that died
        kept = renew(held, seconds)
        renewed.set()
        return kept

    monkeypatch.setattr(leases, "renew", at_the_second_time)
    run = running.start("one", wait, 60)
    assert run is not None

    assert renewed.wait(30)
    gate.set()
    assert run.wait(30)
    assert run.outcome == leases.OK


def test_a_period_in_minutes(settings):
    settings.CHANNEL_TEST_FREQUENCY = 5
    assert minutes("CHANNEL_TEST_FREQUENCY")() == 300
    settings.CHANNEL_TEST_FREQUENCY = None
    assert minutes("CHANNEL_TEST_FREQUENCY")() is None


def test_every_row_of_the_table_can_run():
    assert len({one.name for one in JOBS}) == len(JOBS)
    for one in JOBS:
        assert callable(one.load())
        assert one.timeout > 0
        period = one.every_seconds()
        assert period is None or period > 0


def test_jobs_by_hand(monkeypatch):
    jobs = (job("note"), job("fail", name="two"))
    monkeypatch.setattr(run_jobs, "JOBS", jobs)
    monkeypatch.setattr(run_jobs, "Runner", lambda: Runner(jobs))
    out = StringIO()

    call_command("run_jobs", stdout=out)
    call_command("run_jobs", "one", stdout=out)
    call_command("run_jobs", "--list", stdout=out)
    with pytest.raises(CommandError, match="did not end well"):
        call_command("run_jobs", "two", stdout=out)
    with pytest.raises(CommandError, match="No such job: three"):
        call_command("run_jobs", "three")

    assert out.getvalue().splitlines() == [
        "Nothing is due.",
        "one: ok",
        "one: every 60 s, last ok",
        "two: every 60 s, last never",
        "two: failed: RuntimeError",
    ]
