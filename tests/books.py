"""The invariants of the money, asked of the tables themselves.

I1 a user's quota is the sum of that user's ledger entries
I2 no quota, remainder or held amount is negative, and what is held is the sum of the open holds
I3 one charge a reference
I4 used quota of users, tokens and channels is the sum of the consume logs
I5 no hold has outlived its time
I6 every answered call is in the ledger (needs the caller's own list: `missing`)
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.databases import Database

CONSUME = 2  # logs.type

USAGE = ("requests", "errors", "prompt_tokens", "completion_tokens", "cached_tokens", "quota", "elapsed")

CHECKS = {
    "I1 users.quota is the sum of the ledger": """
        SELECT u.id, u.quota, COALESCE(SUM(e.amount), 0) FROM users u
        LEFT JOIN ledger_entries e ON e.user_id = u.id GROUP BY u.id, u.quota
        HAVING u.quota <> COALESCE(SUM(e.amount), 0)""",
    "I2 no user below zero": "SELECT id, quota, held FROM users WHERE quota < 0 OR held < 0",
    "I2 no limited token below zero": """
        SELECT id, remain_quota, held FROM tokens WHERE held < 0 OR (remain_quota < 0 AND NOT unlimited_quota)""",
    "I2 users.held is the sum of the open holds": """
        SELECT u.id, u.held, COALESCE(SUM(h.amount), 0) FROM users u
        LEFT JOIN holds h ON h.user_id = u.id GROUP BY u.id, u.held HAVING u.held <> COALESCE(SUM(h.amount), 0)""",
    "I2 tokens.held is the sum of the open holds": """
        SELECT t.id, t.held, COALESCE(SUM(h.token_amount), 0) FROM tokens t
        LEFT JOIN holds h ON h.token_id = t.id GROUP BY t.id, t.held
        HAVING t.held <> COALESCE(SUM(h.token_amount), 0)""",
    "I3 one ledger entry a reference": """
        SELECT reference, COUNT(*) FROM ledger_entries WHERE reference IS NOT NULL
        GROUP BY reference HAVING COUNT(*) > 1""",
    "I3 one consume log a request": f"""
        SELECT request_id, COUNT(*) FROM logs WHERE type = {CONSUME} AND request_id <> ''
        GROUP BY request_id HAVING COUNT(*) > 1""",
    "I4 users.used_quota is the sum of the logs": f"""
        SELECT u.id, u.used_quota, COALESCE(SUM(l.quota), 0) FROM users u
        LEFT JOIN logs l ON l.user_id = u.id AND l.type = {CONSUME} GROUP BY u.id, u.used_quota
        HAVING u.used_quota <> COALESCE(SUM(l.quota), 0)""",
    "I4 users.used_quota is the sum over tokens": """
        SELECT u.id, u.used_quota, COALESCE(SUM(t.used_quota), 0) FROM users u
        LEFT JOIN tokens t ON t.user_id = u.id GROUP BY u.id, u.used_quota
        HAVING u.used_quota <> COALESCE(SUM(t.used_quota), 0)""",
    "I4 tokens.used_quota is the sum of the logs": f"""
        SELECT t.id, t.used_quota, COALESCE(SUM(l.quota), 0) FROM tokens t
        LEFT JOIN logs l ON l.token_id = t.id AND l.type = {CONSUME} GROUP BY t.id, t.used_quota
        HAVING t.used_quota <> COALESCE(SUM(l.quota), 0)""",
    "I4 channels.used_quota is the sum of the logs": f"""
        SELECT c.id, c.used_quota, COALESCE(SUM(l.quota), 0) FROM channels c
        LEFT JOIN logs l ON l.channel_id = c.id AND l.type = {CONSUME} GROUP BY c.id, c.used_quota
        HAVING c.used_quota <> COALESCE(SUM(l.quota), 0)""",
    # `type + 0`: SQLite, which has no statistics here, would look lines up by their type, all of them for each entry.
    "I4 the ledger's charges are the logs'": f"""
        SELECT e.reference, e.amount, l.quota FROM ledger_entries e
        LEFT JOIN logs l ON l.request_id = e.reference AND l.type + 0 = {CONSUME}
        WHERE e.kind = 'charge' AND (l.quota IS NULL OR -e.amount <> l.quota)""",
    "I4 usage by hours is the sum of the charges": """
        SELECT e.user_id, e.token_id, e.channel_id, e.used, COALESCE(h.used, 0) FROM
            (SELECT user_id, token_id, channel_id, -SUM(amount) AS used FROM ledger_entries WHERE kind = 'charge'
             GROUP BY user_id, token_id, channel_id) e
        LEFT JOIN (SELECT user_id, token_id, channel_id, SUM(quota) AS used FROM usage_hours
             GROUP BY user_id, token_id, channel_id) h
        ON h.user_id = e.user_id AND h.token_id = e.token_id AND h.channel_id = e.channel_id
        WHERE e.used <> COALESCE(h.used, 0)""",
    "I4 usage by hours and by days is the same": f"""
        SELECT h.user_id, h.model_name, {", ".join(f"h.{one}, d.{one}" for one in USAGE)} FROM
            (SELECT user_id, token_id, channel_id, model_name, {", ".join(f"SUM({one}) AS {one}" for one in USAGE)}
             FROM usage_hours GROUP BY user_id, token_id, channel_id, model_name) h
        LEFT JOIN
            (SELECT user_id, token_id, channel_id, model_name, {", ".join(f"SUM({one}) AS {one}" for one in USAGE)}
             FROM usage_days GROUP BY user_id, token_id, channel_id, model_name) d
        ON d.user_id = h.user_id AND d.token_id = h.token_id AND d.channel_id = h.channel_id
            AND d.model_name = h.model_name
        WHERE d.user_id IS NULL OR {" OR ".join(f"h.{one} <> d.{one}" for one in USAGE)}""",
    "I4 users.request_count is the number of logs": f"""
        SELECT u.id, u.request_count, COUNT(l.id) FROM users u
        LEFT JOIN logs l ON l.user_id = u.id AND l.type = {CONSUME} GROUP BY u.id, u.request_count
        HAVING u.request_count <> COUNT(l.id)""",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One consume log."""

    request_id: str
    quota: int
    prompt_tokens: int
    completion_tokens: int
    model_name: str
    channel_id: int
    is_stream: bool
    estimated: bool
    uncollected: int
    content: str


@dataclass(frozen=True, slots=True)
class Books:
    database: Database

    def check(self) -> None:
        """Assert I1 to I5 as of now; a failure lists every invariant that does not hold, with rows."""
        broken: dict[str, object] = {
            name: rows[:5] for name, query in CHECKS.items() if (rows := self.database.rows(query))
        }
        if expired := self.expired_holds():
            broken["I5 no hold outlives its time"] = expired[:5]
        assert not broken, broken

    def expired_holds(self) -> list[object]:
        return list(
            self.database.rows(
                f"SELECT request_id, expires_at, amount FROM holds WHERE expires_at < {int(time.time())}"
            )
        )

    def open_holds(self) -> int:
        return int(self.database.value("SELECT COUNT(*) FROM holds"))

    def quota(self, user_id: int) -> int:
        return int(self.database.value(f"SELECT quota FROM users WHERE id = {user_id:d}"))

    def used_quota(self, user_id: int) -> int:
        return int(self.database.value(f"SELECT used_quota FROM users WHERE id = {user_id:d}"))

    def remain_quota(self, token_id: int) -> int:
        return int(self.database.value(f"SELECT remain_quota FROM tokens WHERE id = {token_id:d}"))

    def token_used_quota(self, token_id: int) -> int:
        return int(self.database.value(f"SELECT used_quota FROM tokens WHERE id = {token_id:d}"))

    def channel_used_quota(self, channel_id: int) -> int:
        return int(self.database.value(f"SELECT used_quota FROM channels WHERE id = {channel_id:d}"))

    def logs(self, user_id: int) -> list[Row]:
        """Consume logs of a user, oldest first."""
        columns = ", ".join(Row.__slots__)
        rows = self.database.rows(
            f"SELECT {columns} FROM logs WHERE user_id = {user_id:d} AND type = {CONSUME} ORDER BY id"
        )
        return [Row(*row) for row in rows]

    def usage(self, user_id: int) -> dict[str, int]:
        """The user's sums of usage, all hours together."""
        sums = ", ".join(f"COALESCE(SUM({one}), 0)" for one in USAGE)
        (row,) = self.database.rows(f"SELECT {sums} FROM usage_hours WHERE user_id = {user_id:d}")
        return {name: int(value) for name, value in zip(USAGE, row, strict=True)}

    def charges(self) -> dict[str, int]:
        """Points charged, by request id, from the ledger."""
        rows = self.database.rows("SELECT reference, amount FROM ledger_entries WHERE kind = 'charge'")
        return {str(reference): -int(amount) for reference, amount in rows}

    def missing(self, answered: Iterable[str]) -> list[str]:
        """Request ids of answered calls that the ledger does not know (I6)."""
        charged = self.charges()
        return [request_id for request_id in answered if request_id not in charged]

    def wait_settled(self, seconds: float) -> None:
        """Until no hold is open; raises TimeoutError after `seconds`."""
        end = time.monotonic() + seconds
        while open_now := self.open_holds():
            if time.monotonic() > end:
                raise TimeoutError(f"{open_now} holds still open after {seconds} s")
            time.sleep(0.05)
