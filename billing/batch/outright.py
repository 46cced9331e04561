"""Calls whose hold and settlement meet in one transaction, as a rule: all of it is borne, so it is paid outright.

One conditional update for the user and one for each token do what holding and then settling would do in two each. Of a
user for whom they are refused nothing is decided here.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from billing.batch.entries import Hold, Outcome, Settlement, Verdict
from billing.batch.purses import pay_of_token, pay_of_user, uncharge_token
from billing.batch.settlements import Due


def pay(
    cursor: Any,
    at_once: list[tuple[int, Hold]],
    settlements: list[tuple[int, Settlement]],
    outcomes: dict[int, Outcome],
    now: int,
) -> list[Due]:
    """What was paid, still to be recorded; hold and settlement of each have their outcome."""
    ending = {entry.request_id: (i, entry) for i, entry in settlements}
    if len(ending) < len(settlements):  # one of them came twice: that is sorted out elsewhere
        return []
    by_user: dict[int, list[tuple[int, Hold, Due]]] = defaultdict(list)
    released: set[int] = set()
    for at, hold in at_once:
        i, entry = ending[hold.request_id]
        if entry.charge is None:
            released.add(hold.user_id)
        else:
            by_user[hold.user_id].append((at, hold, Due(i, entry, 0, 0, entry.charge)))
    paid: list[Due] = []
    for user_id in sorted(by_user.keys() - released):
        calls = by_user[user_id]
        if _pay_all(cursor, user_id, calls, now):
            for at, hold, due in calls:
                outcomes[at] = Outcome(Verdict.GRANTED, hold.amount)
                outcomes[due.index] = Outcome(Verdict.GRANTED, due.charge)
                paid.append(due)
    return paid


def _pay_all(cursor: Any, user_id: int, calls: list[tuple[int, Hold, Due]], now: int) -> bool:
    amount = charge = 0
    tokens: dict[tuple[int, bool], tuple[int, int]] = {}
    for _, hold, due in calls:
        amount += hold.amount
        charge += due.charge
        key = (hold.token_id, hold.limited)
        held, taken = tokens.get(key, (0, 0))
        tokens[key] = (held + hold.amount, taken + due.charge)
    if not pay_of_user(cursor, user_id, charge, len(calls), max(amount, charge)):
        return False
    done: list[tuple[int, int, bool]] = []
    for token_id, limited in sorted(tokens):
        held, taken = tokens[token_id, limited]
        if not pay_of_token(cursor, token_id, taken, max(held, taken), limited, now):
            for token, back, of_limited in done:
                uncharge_token(cursor, token, back, 0, of_limited)
            pay_of_user(cursor, user_id, -charge, -len(calls), 0)
            return False
        done.append((token_id, taken, limited))
    return True
