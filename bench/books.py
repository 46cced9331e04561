"""After a billed run: does what stands in the tables equal calls times price, to the point?"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench import scenario
from bench.databases import Database
from bench.seed import QUOTA

PATIENCE = 20  # seconds for calls that were cut off at the end of a measurement to be settled or released


@dataclass(frozen=True, slots=True)
class Verdict:
    """`calls`, `left`, `streams`: charges in the ledger at each price. `problems` is empty when the books are exact."""

    calls: int
    left: int
    streams: int
    points: int
    stream_price: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        sums = f"{self.calls:,} x {scenario.CALL_PRICE}"
        if self.left:
            sums += f" + {self.left:,} x {scenario.LEFT_PRICE}"
        if self.streams:
            sums += f" + {self.streams:,} x {self.stream_price:,}"
        return f"{sums} = {self.points:,} points: " + ("exact" if not self.problems else "; ".join(self.problems))


def check(
    database: Database, answered: int, cut_off: int, streams: int, stream_price: int = scenario.STREAM_PRICE
) -> Verdict:
    """`answered`: plain calls whose answer came whole; `cut_off`: the most that were under way when measuring ended.

    A call cut off is charged as answered if its answer had been made out, by its prompt if it had been sent, else not.
    """
    end = time.monotonic() + PATIENCE
    while (left := database.value("SELECT COUNT(*) FROM holds")) and time.monotonic() < end:
        time.sleep(0.1)
    charges = {int(-amount): int(n) for amount, n in database.rows(
        "SELECT amount, COUNT(*) FROM ledger_entries WHERE kind = 'charge' GROUP BY amount"
    )}  # fmt: skip
    calls, streamed = charges.get(scenario.CALL_PRICE, 0), charges.get(stream_price, 0)
    prompts = charges.get(scenario.LEFT_PRICE, 0)
    points = calls * scenario.CALL_PRICE + prompts * scenario.LEFT_PRICE + streamed * stream_price
    expected = {
        "open holds": (left, 0),
        "charges at other prices": (sum(charges.values()) - calls - prompts - streamed, 0),
        "streams charged": (streamed, streams),
        "sum of the ledger": (_sum(database, "-amount", "ledger_entries WHERE kind = 'charge'"), points),
        "users' used_quota": (_sum(database, "used_quota", "users"), points),
        "users' balance": (_sum(database, "quota", "users WHERE username LIKE 'bench-%'"), 2 * QUOTA - points),
        "users' held": (_sum(database, "held", "users"), 0),
        "tokens' used_quota": (_sum(database, "used_quota", "tokens"), points),
        "tokens' remain_quota": (_sum(database, "remain_quota", "tokens WHERE name = 'bench'"), 2 * QUOTA - points),
        "channels' used_quota": (_sum(database, "used_quota", "channels"), points),
        "sum of the logs": (_sum(database, "quota", "logs WHERE type = 2"), points),
        "rows in the logs": (
            int(database.value("SELECT COUNT(*) FROM logs WHERE type = 2")),
            calls + prompts + streamed,
        ),
    }
    problems = [
        f"{what}: {found:,} instead of {right:,}" for what, (found, right) in expected.items() if found != right
    ]
    if not answered <= calls <= calls + prompts <= answered + cut_off:
        problems.append(
            f"{calls:,} and {prompts:,} calls charged, {answered:,} answered and at most {cut_off:,} cut off"
        )
    return Verdict(calls, prompts, streamed, points, stream_price, tuple(problems))


def charges(database: Database) -> int:
    return int(database.value("SELECT COUNT(*) FROM ledger_entries WHERE kind = 'charge'"))


def _sum(database: Database, column: str, rest: str) -> int:
    return int(database.value(f"SELECT COALESCE(SUM({column}), 0) FROM {rest}"))
