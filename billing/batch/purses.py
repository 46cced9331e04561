"""Balances of users and of limited tokens: set aside in one conditional update, or locked and reckoned with.

A token may be made unlimited, or limited, while calls of its other time are open. An unlimited one bears everything:
it gives back what they had set aside, and its own remainder stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from billing.batch.sql import select_in

BIGGEST = 2**63 - 1  # what a column holds; a caller may ask for any maximum, so amounts come larger than that
BOUNDLESS = 2**62


@dataclass(slots=True)
class Purse:
    """A user's balance or a token's remainder, locked for this transaction."""

    balance: int
    held: int
    enabled: bool
    unlimited: bool = False

    @property
    def free(self) -> int:
        return BOUNDLESS if self.unlimited else self.balance - self.held

    def pay(self, amount: int) -> None:
        if not self.unlimited:
            self.balance -= amount


def hold_of_user(cursor: Any, user_id: int, amount: int) -> bool:
    """Set aside `amount` if the user is enabled and has it to spare."""
    if amount > BIGGEST:
        return False
    cursor.execute(
        "UPDATE users SET held = held + %s WHERE id = %s AND status = 1 AND quota - held >= %s",
        (amount, user_id, amount),
    )
    return bool(cursor.rowcount)


def hold_of_token(cursor: Any, token_id: int, amount: int) -> bool:
    """The same for a limited token. Called after `hold_of_user`, whose success bounds the amount."""
    cursor.execute(
        "UPDATE tokens SET held = held + %s WHERE id = %s AND status = 1"
        " AND (unlimited_quota OR remain_quota - held >= %s)",
        (amount, token_id, amount),
    )
    return bool(cursor.rowcount)


def pay_of_user(cursor: Any, user_id: int, charge: int, calls: int, least: int) -> bool:
    """Take `charge` for so many calls if the user is enabled and has `least` to spare, which is no less."""
    if least > BIGGEST:
        return False
    cursor.execute(
        "UPDATE users SET quota = quota - %s, used_quota = used_quota + %s, request_count = request_count + %s"
        " WHERE id = %s AND status = 1 AND quota - held >= %s",
        (charge, charge, calls, user_id, least),
    )
    return bool(cursor.rowcount)


def pay_of_token(cursor: Any, token_id: int, charge: int, least: int, limited: bool, now: int) -> bool:
    """The same for a token, of which nothing is held for these calls. Called after `pay_of_user`."""
    if not limited:
        return charge_token(cursor, token_id, charge, 0, limited, now)
    cursor.execute(
        "UPDATE tokens SET remain_quota = CASE WHEN unlimited_quota THEN remain_quota ELSE remain_quota - %s END,"
        " used_quota = used_quota + %s, accessed_time = %s"
        " WHERE id = %s AND status = 1 AND (unlimited_quota OR remain_quota - held >= %s)",
        (charge, charge, now, token_id, least),
    )
    return bool(cursor.rowcount)


def charge_token(cursor: Any, token_id: int, charge: int, held: int, limited: bool, now: int) -> bool:
    """Take a charge that `held` was set aside for; False when the rest of it is not there.

    `limited`: the call began under a limited token. One that did not only adds to what the token has used.
    """
    if not limited:
        cursor.execute(
            "UPDATE tokens SET used_quota = used_quota + %s, accessed_time = %s WHERE id = %s", (charge, now, token_id)
        )
        return True
    cursor.execute(
        "UPDATE tokens SET remain_quota = CASE WHEN unlimited_quota THEN remain_quota ELSE remain_quota - %s END,"
        " held = held - %s, used_quota = used_quota + %s, accessed_time = %s"
        " WHERE id = %s AND (unlimited_quota OR remain_quota - held >= %s)",
        (charge, held, charge, now, token_id, charge - held),
    )
    return bool(cursor.rowcount)


def uncharge_token(cursor: Any, token_id: int, charge: int, held: int, limited: bool) -> None:
    """Undo a `charge_token` of this very transaction."""
    back = charge if limited else 0
    cursor.execute(
        "UPDATE tokens SET remain_quota = CASE WHEN unlimited_quota THEN remain_quota ELSE remain_quota + %s END,"
        " held = held + %s, used_quota = used_quota - %s WHERE id = %s",
        (back, held if limited else 0, charge, token_id),
    )


def lock_users(cursor: Any, ids: Iterable[int]) -> dict[int, Purse]:
    rows = select_in(cursor, "SELECT id, quota, held, status FROM users WHERE id IN", sorted(set(ids)), lock=True)
    return {row[0]: Purse(row[1], row[2], row[3] == 1) for row in rows}


def lock_tokens(cursor: Any, ids: Iterable[int]) -> dict[int, Purse]:
    query = "SELECT id, remain_quota, held, status, unlimited_quota FROM tokens WHERE id IN"
    rows = select_in(cursor, query, sorted(set(ids)), lock=True)
    return {row[0]: Purse(row[1], row[2], row[3] == 1, bool(row[4])) for row in rows}
