"""`python -m bench.usage`: how long charts and rankings take over a year of everybody, with sums of weeks and without.

1,800 rows of usage a day, which ten million calls a year leave: 450 of 1,000 users a day, two keys each, 60 models,
40 channels, 3 groups. Also told: how long the weeks take to be made, and whether both answers are the same (exit code
1 where not).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DAY = 86_400  # seconds
A_DAY = 1800  # rows


def main() -> int:
    from bench import databases
    from bench.gateway import ENVIRONMENT, INHERITED

    options = _options()
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="one-api-bench-") as folder:
        for kind in options.databases.split(","):
            try:
                with databases.fresh(kind, Path(folder)) as database:
                    environment = {**inherited, **ENVIRONMENT, **database.environment, "PYTHONPATH": str(ROOT)}
                    print(f"{database.version}, load of the machine {os.getloadavg()[0]:.1f}", flush=True)
                    migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
                    subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
                    inside = [sys.executable, __file__, "inside", "--days", str(options.days)]
                    failed |= subprocess.run(inside, cwd=ROOT, env=environment, check=False).returncode
            except databases.Absent as reason:
                print(f"{kind} is left out: {reason}", file=sys.stderr)
    return failed


def measure(days: int) -> int:
    """On the settings of the environment, whose database is migrated and empty."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from bench.pages_seed import analyze
    from billing import usage_weeks
    from billing.analytics import By, Metric, UsageFilter, ranking, series, totals
    from billing.models import UsageCatchUp, UsageWeek

    now = int(time.time())
    wanted = UsageFilter(now - (days - 1) * DAY, now)
    one_model = UsageFilter(now - (days - 1) * DAY, now, model_name="model-7")
    asked: dict[str, Callable[[], Any]] = {
        "totals": lambda: totals(wanted),
        "totals of one model": lambda: totals(one_model),
        "chart of all": lambda: series(wanted, Metric.QUOTA),
        **{f"chart by {by.name.lower()}": partial(series, wanted, Metric.QUOTA, by=by) for by in By},
        **{f"ranking by {by.name.lower()}": partial(ranking, wanted, by, Metric.QUOTA) for by in By},
    }
    _fill(now, days)
    analyze()
    before = {name: _timed(ask) for name, ask in asked.items()}
    UsageCatchUp.objects.create(pk=1, started_at=now)
    began = time.perf_counter()
    weeks = usage_weeks.sum_up(lambda seconds: False)
    print(f"{weeks} weeks, {UsageWeek.objects.count():,} rows, made in {time.perf_counter() - began:.1f} s")
    analyze()
    began = time.perf_counter()
    usage_weeks.sum_up(lambda seconds: False)
    print(f"looked for weeks that are stale: {(time.perf_counter() - began) * 1000:.0f} ms")
    print(f"{'ms, median of 5: processor / clock':36}{'days':>16}{'weeks':>16}")
    same = True
    for name, ask in asked.items():
        (answer, *old), (again, *new) = before[name], _timed(ask)
        same &= answer == again
        print(
            f"{name:36}{old[0]:7.0f} /{old[1]:7.0f}{new[0]:7.0f} /{new[1]:7.0f}{'' if answer == again else '  DIFFERS'}"
        )
    return 0 if same else 1


def _timed(ask: Callable[[], Any]) -> tuple[Any, float, float]:
    """The answer, and milliseconds of the processor (ours and the database server's) and of the clock."""
    answer, used, taken = ask(), [], []
    for _ in range(5):
        cpu, began = _cpu(), time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
        used.append((_cpu() - cpu) * 1000)
    return answer, statistics.median(used), statistics.median(taken)


def _cpu() -> float:
    """Seconds; PostgreSQL's are of the process behind our connection, in hundredths."""
    from django.db import connection

    from bench import machine

    server = 0.0
    if connection.vendor == "postgresql":
        server = machine.cpu_seconds(connection.connection.info.backend_pid)
    return time.process_time() + server


def _fill(now: int, days: int) -> None:
    from bench.pages_seed import fill
    from billing.models import UsageDay

    number = f"(i % {A_DAY})"
    user = f"(({number} / 4 + i / {A_DAY} * 7) % 1000 + 1)"
    fill(
        UsageDay,
        A_DAY * days,
        user_id=user,
        token_id=f"{user} * 2 + i % 2",
        channel_id=f"{number} % 40",
        model_name=f"'model-' || ({number} * 7 % 60)",
        group=f"'group-' || ({user} % 3)",
        requests="15",
        errors="i % 2",
        prompt_tokens="15000 + i % 1000",
        completion_tokens="5000",
        cached_tokens="i % 1000",
        quota="i % 5000",
        elapsed="90000",
        day=f"{now // DAY * DAY} - i / {A_DAY} * {DAY}",
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.usage")
    parser.add_argument("inside", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--databases", default="sqlite,postgres", help="of sqlite and postgres")
    parser.add_argument("--days", type=int, default=365)
    return parser.parse_args()


if __name__ == "__main__":
    given = _options()
    sys.exit(measure(given.days) if given.inside else main())
