"""Ending calls: the charge, the counters, the ledger and the log; or a release that leaves no trace."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from billing.batch.entries import Hold, Outcome, Settlement, Verdict
from billing.batch.logs import CONSUME, log_row, write
from billing.batch.purses import BIGGEST, charge_token, lock_tokens, lock_users, uncharge_token
from billing.batch.rollups import Usages
from billing.batch.sql import delete_holds, insert, select_in

CHARGE = "charge"  # EntryKind.CHARGE

LEDGER_COLUMNS = (
    "user_id", "kind", "amount", "created_at", "reference", "token_id", "channel_id", "actor_id", "note",
)  # fmt: skip


@dataclass(slots=True)
class Due:
    """A settlement with the hold that was really open for it (0 when a sweeper was faster)."""

    index: int
    entry: Settlement
    held: int
    token_held: int
    charge: int


def not_yet_charged(cursor: Any, holds: list[tuple[int, Hold]], outcomes: dict[int, Outcome]) -> list[tuple[int, Hold]]:
    """Those whose call an earlier attempt did not end. The others were held, if only within that transaction."""
    ids = [hold.request_id for _, hold in holds]
    written = {row[0] for row in select_in(cursor, "SELECT reference FROM ledger_entries WHERE reference IN", ids)}
    outcomes.update((i, Outcome(Verdict.GRANTED, hold.amount)) for i, hold in holds if hold.request_id in written)
    return [(i, hold) for i, hold in holds if hold.request_id not in written]


def refuse(
    settlements: list[tuple[int, Settlement]], at_once: list[tuple[int, Hold]], outcomes: dict[int, Outcome]
) -> list[tuple[int, Settlement]]:
    """The settlements that may be written. One whose hold was refused in this batch shares its verdict."""
    refused = {hold.request_id: outcomes[i] for i, hold in at_once if outcomes[i].verdict is not Verdict.GRANTED}
    if not refused:
        return settlements
    outcomes.update((i, refused[entry.request_id]) for i, entry in settlements if entry.request_id in refused)
    return [(i, entry) for i, entry in settlements if entry.request_id not in refused]


def settle(
    cursor: Any,
    settlements: list[tuple[int, Settlement]],
    at_once: list[tuple[int, Hold]],
    outcomes: dict[int, Outcome],
    usages: Usages,
    now: int,
    paid: list[Due],
) -> None:
    """Deleting the hold decides who settles: the call's own worker, or the sweeper that thought it dead.

    `at_once`: holds decided in this transaction, of which there are no rows. `paid`: what only has to be recorded.
    """
    fresh = {
        hold.request_id: (outcomes[i].amount, outcomes[i].amount if hold.limited else 0)
        for i, hold in at_once
        if outcomes[i].verdict is Verdict.GRANTED
    }
    ids = sorted(entry.request_id for _, entry in settlements if entry.request_id not in fresh)
    found = select_in(cursor, "SELECT request_id, amount, token_amount FROM holds WHERE request_id IN", ids, lock=True)
    open_holds = {row[0]: (row[1], row[2]) for row in found}
    delete_holds(cursor, list(open_holds))
    missing = [request_id for request_id in ids if request_id not in open_holds]
    open_holds |= fresh
    collected = {
        row[0]: -row[1]
        for row in select_in(cursor, "SELECT reference, amount FROM ledger_entries WHERE reference IN", missing)
    }
    by_user: dict[int, list[Due]] = defaultdict(list)
    twice: list[tuple[int, Due]] = []
    ending: dict[str, Due] = {}
    for i, entry in settlements:
        charge = entry.charge or 0
        if entry.request_id in collected:  # done before: nothing is posted twice (I3)
            before = collected[entry.request_id]
            outcomes[i] = Outcome(Verdict.GRANTED, before, max(charge - before, 0))
        elif entry.request_id in ending:
            twice.append((i, ending[entry.request_id]))
        elif entry.charge is None and entry.request_id not in open_holds:
            outcomes[i] = Outcome(Verdict.GRANTED)
        else:
            due = Due(i, entry, *open_holds.get(entry.request_id, (0, 0)), charge)
            ending[entry.request_id] = due
            by_user[entry.user_id].append(due)
    for user_id in sorted(by_user):
        dues = by_user[user_id]
        if _settle_all(cursor, user_id, dues, now):
            for due in dues:
                outcomes[due.index] = Outcome(Verdict.GRANTED, due.charge)
        else:
            _settle_each(cursor, user_id, dues, outcomes, now)
    for i, due in twice:
        outcomes[i] = outcomes[due.index]
    _record(cursor, [*paid, *(due for dues in by_user.values() for due in dues)], outcomes, usages, now)


def _settle_all(cursor: Any, user_id: int, dues: list[Due], now: int) -> bool:
    """The usual case: every charge is covered; one update for the user and one for each token."""
    charge = sum(due.charge for due in dues)
    held = sum(due.held for due in dues)
    calls = sum(due.entry.charge is not None for due in dues)
    if charge > BIGGEST:
        return False
    cursor.execute(
        "UPDATE users SET quota = quota - %s, held = held - %s, used_quota = used_quota + %s,"
        " request_count = request_count + %s WHERE id = %s AND quota - held >= %s",
        (charge, held, charge, calls, user_id, charge - held),
    )
    if not cursor.rowcount:
        return False
    done: list[tuple[int, int, int, bool]] = []
    for (token_id, limited), (token_charge, token_held) in _per_token(dues).items():
        if not charge_token(cursor, token_id, token_charge, token_held, limited, now):
            for token, taken, given, of_limited in done:
                uncharge_token(cursor, token, taken, given, of_limited)
            cursor.execute(
                "UPDATE users SET quota = quota + %s, held = held + %s, used_quota = used_quota - %s,"
                " request_count = request_count - %s WHERE id = %s",
                (charge, held, charge, calls, user_id),
            )
            return False
        done.append((token_id, token_charge, token_held, limited))
    return True


def _per_token(dues: list[Due]) -> dict[tuple[int, bool], tuple[int, int]]:
    """(token, limited when the call began) -> (charges, what was held of the token)."""
    sums: dict[tuple[int, bool], tuple[int, int]] = {}
    for due in sorted(dues, key=lambda due: due.entry.token_id):
        key = (due.entry.token_id, due.entry.limited)
        charge, held = sums.get(key, (0, 0))
        sums[key] = (charge + due.charge, held + due.token_held)
    return sums


def _settle_each(cursor: Any, user_id: int, dues: list[Due], outcomes: dict[int, Outcome], now: int) -> None:
    """Some charge is more than its hold and the free balance: collect what there is, record the rest (I2)."""
    user = lock_users(cursor, [user_id]).get(user_id)
    tokens = lock_tokens(cursor, [due.entry.token_id for due in dues if due.entry.limited])
    for due in dues:
        token = tokens.get(due.entry.token_id) if due.entry.limited else None
        purses = [purse for purse in (user, token) if purse]
        if user:
            user.held -= due.held
        if token:
            token.held -= due.token_held
        paid = min([due.charge, *(max(purse.free, 0) for purse in purses)]) if user else 0
        for purse in purses:
            purse.pay(paid)
        outcomes[due.index] = Outcome(Verdict.GRANTED, paid, min(due.charge - paid, BIGGEST))
        due.charge = paid
    if user:
        paid = sum(due.charge for due in dues)
        calls = sum(due.entry.charge is not None for due in dues)
        cursor.execute(
            "UPDATE users SET quota = %s, held = %s, used_quota = used_quota + %s,"
            " request_count = request_count + %s WHERE id = %s",
            (user.balance, user.held, paid, calls, user_id),
        )
    for (token_id, limited), (paid, _) in _per_token(dues).items():
        token = tokens.get(token_id)
        if limited and token:
            cursor.execute(
                "UPDATE tokens SET remain_quota = %s, held = %s, used_quota = used_quota + %s, accessed_time = %s"
                " WHERE id = %s",
                (token.balance, token.held, paid, now, token_id),
            )
        elif not limited:
            charge_token(cursor, token_id, paid, 0, limited, now)


def _record(cursor: Any, dues: list[Due], outcomes: dict[int, Outcome], usages: Usages, now: int) -> None:
    """Ledger, log rows, channel counters and usage of what was charged; releases leave no trace."""
    charged = [due for due in dues if due.entry.charge is not None]
    if not charged:
        return
    insert(
        cursor,
        "ledger_entries",
        LEDGER_COLUMNS,
        [
            (d.entry.user_id, CHARGE, -d.charge, now, d.entry.request_id, d.entry.token_id, d.entry.channel_id, 0, "")
            for d in charged
        ],
    )
    logs = [log_row(CONSUME, d.entry, d.charge, outcomes[d.index].uncollected, now) for d in charged if d.entry.logged]
    write(cursor, logs, now)
    per_channel: dict[int, int] = defaultdict(int)
    for due in charged:
        usages.settled(due.entry, due.charge)
        per_channel[due.entry.channel_id] += due.charge
    for channel_id in sorted(per_channel):
        if per_channel[channel_id]:
            cursor.execute(
                "UPDATE channels SET used_quota = used_quota + %s WHERE id = %s", (per_channel[channel_id], channel_id)
            )
