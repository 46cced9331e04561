"""What every run tells of its gateways: memory idle, at the peak and after, and how long the first answer took."""

from __future__ import annotations

from bench.result import SQLITE, Goal, Result
from bench.wording import MB, NAME

MOST_COLD = 3.0  # seconds


def lines(result: Result) -> list[str]:
    columns = f"{'idle':>9}{'peak':>9}{'after':>9}{'first answer after (s)':>25}"
    told = [f"  {'resident (MB), master and worker':<{NAME}}{columns}"]
    for subject in result.subjects:
        if subject.idle:
            sizes = "".join(f"{size / MB:>9.0f}" for size in (subject.idle, subject.peak, subject.after))
            told.append(f"  {subject.title:<{NAME}}{sizes}{subject.cold_start:>25.1f}")
    return told if len(told) > 1 else []


def goals(result: Result) -> list[Goal]:
    subject = result.find(SQLITE)
    if subject is None:
        return []
    cold = subject.cold_start
    return [Goal("cold start", f"{cold:.1f} s", f"below {MOST_COLD:.0f}", cold < MOST_COLD)]
