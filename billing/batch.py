"""One transaction for many calls: holds, progress of streams, settlements and releases, all or nothing.

`post(entries)` is blocking and exact; `billing.books` gathers what many coroutines want and calls it from a thread.
Written against the database driver's cursor, because a model instance per row would cost more than the row.

Rows are locked in one order everywhere: users by id (a user's row guards that user's tokens and holds), then
channels by id. Two workers therefore wait for each other but do not deadlock.

What each statement relies on: an UPDATE re-reads the row it waited for (READ COMMITTED on PostgreSQL and MySQL;
SQLite has one writer), so `quota - held >= x` decides on the newest balance and not on one read earlier.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

CONSUME = 2  # LogType.CONSUME, a plain number on the hot path
CHARGE = "charge"  # EntryKind.CHARGE


@dataclass(slots=True)
class Hold:
    """Set aside `amount` for a call, or as much as there is but at least `least` (points).

    `patient`: if other open holds stand in the way, say BUSY instead of refusing, so that it can be tried again.
    The rest describes the call for a sweeper that may have to finish it.
    """

    request_id: str
    user_id: int
    token_id: int
    limited: bool  # the token has a quota of its own
    amount: int
    least: int
    worker: str
    patient: bool = True
    channel_id: int = 0
    username: str = ""
    token_name: str = ""
    model_name: str = ""
    prompt_tokens: int = 0
    content: str = ""


@dataclass(slots=True)
class Progress:
    """What a stream has generated so far; raises its hold to `amount` where the balance allows.

    `held` is the amount held until now.
    """

    request_id: str
    user_id: int
    token_id: int
    limited: bool
    held: int
    amount: int
    completion_tokens: int
    charge: int
    channel_id: int
    model_name: str
    content: str


@dataclass(slots=True)
class Settlement:
    """End an open call: take `charge` points (None: release, the call cost nothing and leaves no log).

    `log` holds further columns of the log row; `logged` False keeps the row out (LogConsumeEnabled off).
    """

    request_id: str
    user_id: int
    token_id: int
    limited: bool
    held: int
    charge: int | None
    channel_id: int = 0
    log: dict[str, Any] = field(default_factory=dict)
    logged: bool = True


Entry = Hold | Progress | Settlement


class Verdict(Enum):
    GRANTED = "granted"
    BUSY = "busy"  # the balance would bear it, but other open calls hold it
    USER_SHORT = "user_short"
    TOKEN_SHORT = "token_short"  # noqa: S105
    TOKEN_EMPTY = "token_empty"  # noqa: S105
    USER_GONE = "user_gone"  # deleted or disabled since it was looked up
    TOKEN_GONE = "token_gone"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an entry. `amount`: points held (Hold, Progress) or collected (Settlement)."""

    verdict: Verdict
    amount: int = 0
    uncollected: int = 0


LOG_COLUMNS = (
    "user_id", "created_at", "type", "content", "username", "token_name", "token_id", "model_name", "quota",
    "prompt_tokens", "completion_tokens", "channel_id", "request_id", "elapsed_time", "is_stream",
    "system_prompt_reset", "estimated", "uncollected",
)  # fmt: skip
LOG_DEFAULTS: dict[str, Any] = {
    "type": CONSUME, "content": "", "username": "", "token_name": "", "model_name": "", "prompt_tokens": 0,
    "completion_tokens": 0, "elapsed_time": 0, "is_stream": False, "system_prompt_reset": False, "estimated": False,
}  # fmt: skip
HOLD_COLUMNS = (
    "request_id", "user_id", "token_id", "amount", "token_amount", "worker", "created_at", "expires_at",
    "channel_id", "username", "token_name", "model_name", "prompt_tokens", "completion_tokens", "charge", "content",
)  # fmt: skip
LEDGER_COLUMNS = (
    "user_id", "kind", "amount", "created_at", "reference", "token_id", "channel_id", "actor_id", "note",
)  # fmt: skip


def post(entries: Sequence[Entry], *, again: bool = False) -> list[Outcome]:
    """Write all entries durably in one transaction; one outcome for each, in order.

    `again`: an earlier attempt ended with an error, perhaps after its commit; what is found already written is
    not written twice. Raises django.db.DatabaseError, and then nothing has changed or, after a connection lost
    during commit, everything: call again with `again=True`.
    """
    outcomes: dict[int, Outcome] = {}
    now = int(time.time())
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        _lock_users(cursor, {entry.user_id for entry in entries})
        settlements = [(i, e) for i, e in enumerate(entries) if isinstance(e, Settlement)]
        progresses = [(i, e) for i, e in enumerate(entries) if isinstance(e, Progress)]
        holds = [(i, e) for i, e in enumerate(entries) if isinstance(e, Hold)]
        if again and holds:
            holds = _not_yet_held(cursor, holds, outcomes)
        if settlements:
            _settle(cursor, settlements, outcomes, now)
        if progresses:
            _progress(cursor, progresses, outcomes, now)
        if holds:
            _hold(cursor, holds, outcomes, now)
    return [outcomes[i] for i in range(len(entries))]


def _lock_users(cursor: CursorWrapper, user_ids: set[int]) -> None:
    """Take the row locks of several users in order of id; a single one is locked by its own first update."""
    if len(user_ids) > 1 and connection.features.has_select_for_update:
        _select_in(cursor, "SELECT id FROM users WHERE id IN", sorted(user_ids), lock=True)


# --- holds -----------------------------------------------------------------------------------------------------


def _not_yet_held(
    cursor: CursorWrapper, holds: list[tuple[int, Hold]], outcomes: dict[int, Outcome]
) -> list[tuple[int, Hold]]:
    rows = _select_in(
        cursor, "SELECT request_id, amount FROM holds WHERE request_id IN", [h.request_id for _, h in holds]
    )
    written = dict(rows)
    left = []
    for i, hold in holds:
        if hold.request_id in written:
            outcomes[i] = Outcome(Verdict.GRANTED, written[hold.request_id])
        else:
            left.append((i, hold))
    return left


def _hold(cursor: CursorWrapper, holds: list[tuple[int, Hold]], outcomes: dict[int, Outcome], now: int) -> None:
    by_user: dict[int, list[tuple[int, Hold]]] = defaultdict(list)
    for item in holds:
        by_user[item[1].user_id].append(item)
    for user_id in sorted(by_user):
        wanted = by_user[user_id]
        if _hold_all(cursor, user_id, [hold for _, hold in wanted]):
            for i, hold in wanted:
                outcomes[i] = Outcome(Verdict.GRANTED, hold.amount)
        else:
            _hold_each(cursor, user_id, wanted, outcomes)
    expires = now + settings.HOLD_TTL
    granted = [(outcomes[i], hold) for i, hold in holds if outcomes[i].verdict is Verdict.GRANTED]
    _insert(
        cursor,
        "holds",
        HOLD_COLUMNS,
        [
            (
                h.request_id, h.user_id, h.token_id, o.amount, o.amount if h.limited else 0, h.worker, now, expires,
                h.channel_id, h.username, h.token_name, h.model_name, h.prompt_tokens, 0, 0, h.content,
            )
            for o, h in granted
        ],
    )  # fmt: skip


def _hold_all(cursor: CursorWrapper, user_id: int, holds: list[Hold]) -> bool:
    """The usual case: everything fits, decided by one conditional update for the user and one for each token."""
    total = sum(hold.amount for hold in holds)
    if not _raise_held(cursor, "users", "quota", user_id, total):
        return False
    per_token: dict[int, int] = defaultdict(int)
    for hold in holds:
        if hold.limited:
            per_token[hold.token_id] += hold.amount
    raised: list[tuple[int, int]] = []
    for token_id in sorted(per_token):
        if not _raise_held(cursor, "tokens", "remain_quota", token_id, per_token[token_id]):
            for done, amount in raised:
                cursor.execute("UPDATE tokens SET held = held - %s WHERE id = %s", (amount, done))
            cursor.execute("UPDATE users SET held = held - %s WHERE id = %s", (total, user_id))
            return False
        raised.append((token_id, per_token[token_id]))
    return True


def _raise_held(cursor: CursorWrapper, table: str, balance: str, row_id: int, amount: int) -> bool:
    cursor.execute(
        f"UPDATE {table} SET held = held + %s WHERE id = %s AND status = 1 AND {balance} - held >= %s",  # noqa: S608
        (amount, row_id, amount),
    )
    return bool(cursor.rowcount)


@dataclass(slots=True)
class _Purse:
    """A user's balance or a limited token's, locked for this transaction."""

    balance: int
    held: int
    enabled: bool

    @property
    def free(self) -> int:
        return self.balance - self.held


def _hold_each(
    cursor: CursorWrapper, user_id: int, wanted: list[tuple[int, Hold]], outcomes: dict[int, Outcome]
) -> None:
    """The summed update was refused: lock the rows and decide one by one, in order of arrival."""
    user = _lock_purses(cursor, "users", "quota", [user_id]).get(user_id)
    tokens = _lock_purses(cursor, "tokens", "remain_quota", [h.token_id for _, h in wanted if h.limited])
    for i, hold in wanted:
        token = tokens.get(hold.token_id) if hold.limited else None
        if user is None or not user.enabled:
            outcomes[i] = Outcome(Verdict.USER_GONE)
        elif hold.limited and (token is None or not token.enabled):
            outcomes[i] = Outcome(Verdict.TOKEN_GONE)
        else:
            outcomes[i] = _decide(hold, user, token)
            user.held += outcomes[i].amount
            if token:
                token.held += outcomes[i].amount
    if user:
        cursor.execute("UPDATE users SET held = %s WHERE id = %s", (user.held, user_id))
    for token_id in sorted(tokens):
        cursor.execute("UPDATE tokens SET held = %s WHERE id = %s", (tokens[token_id].held, token_id))


def _decide(hold: Hold, user: _Purse, token: _Purse | None) -> Outcome:
    purses = [user, token] if token else [user]
    free = min(purse.free for purse in purses)
    alone = all(purse.held == 0 for purse in purses)
    if free >= hold.amount:
        return Outcome(Verdict.GRANTED, hold.amount)
    if token and token.balance < max(hold.least, 1):
        return Outcome(Verdict.TOKEN_EMPTY if token.balance <= 0 else Verdict.TOKEN_SHORT)
    if user.balance < hold.least:
        return Outcome(Verdict.USER_SHORT)
    if free >= hold.least and (alone or not hold.patient):
        return Outcome(Verdict.GRANTED, free)
    if hold.patient:
        return Outcome(Verdict.BUSY)
    return Outcome(Verdict.TOKEN_SHORT if token and token.free < hold.least else Verdict.USER_SHORT)


def _lock_purses(cursor: CursorWrapper, table: str, balance: str, ids: Iterable[int]) -> dict[int, _Purse]:
    rows = _select_in(
        cursor, f"SELECT id, {balance}, held, status FROM {table} WHERE id IN", sorted(set(ids)), lock=True
    )  # noqa: S608
    return {row[0]: _Purse(row[1], row[2], row[3] == 1) for row in rows}


# --- progress of streams ---------------------------------------------------------------------------------------


def _progress(
    cursor: CursorWrapper, progresses: list[tuple[int, Progress]], outcomes: dict[int, Outcome], now: int
) -> None:
    """Record what was generated and raise the holds; a stream that cannot grow keeps what it has."""
    open_holds = {
        row[0]: row[1]
        for row in _select_in(
            cursor,
            "SELECT request_id, amount FROM holds WHERE request_id IN",
            sorted(p.request_id for _, p in progresses),
            lock=True,
        )
    }
    rows = []
    for i, progress in sorted(progresses, key=lambda item: item[1].user_id):
        held = open_holds.get(progress.request_id)
        if held is None:  # swept meanwhile: nothing to grow
            outcomes[i] = Outcome(Verdict.GRANTED, progress.held)
            continue
        more = progress.amount - held
        if more > 0 and _grow(cursor, progress, more):
            held = progress.amount
        verdict = Verdict.GRANTED if held >= progress.amount else Verdict.USER_SHORT
        outcomes[i] = Outcome(verdict, held)
        rows.append(
            (
                held, held if progress.limited else 0, progress.completion_tokens, progress.charge,
                progress.channel_id, progress.model_name, progress.content, now + settings.HOLD_TTL,
                progress.request_id,
            )
        )  # fmt: skip
    cursor.executemany(
        "UPDATE holds SET amount = %s, token_amount = %s, completion_tokens = %s, charge = %s, channel_id = %s,"
        " model_name = %s, content = %s, expires_at = %s WHERE request_id = %s",
        rows,
    )


def _grow(cursor: CursorWrapper, progress: Progress, more: int) -> bool:
    if not _raise_held(cursor, "users", "quota", progress.user_id, more):
        return False
    if progress.limited and not _raise_held(cursor, "tokens", "remain_quota", progress.token_id, more):
        cursor.execute("UPDATE users SET held = held - %s WHERE id = %s", (more, progress.user_id))
        return False
    return True


# --- settlements -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Due:
    """A settlement with the hold that was really open for it (0 when a sweeper was faster)."""

    index: int
    entry: Settlement
    held: int
    token_held: int
    charge: int


def _settle(
    cursor: CursorWrapper, settlements: list[tuple[int, Settlement]], outcomes: dict[int, Outcome], now: int
) -> None:
    """Deleting the hold decides who settles: the call's own worker, or the sweeper that thought it dead."""
    ids = sorted(entry.request_id for _, entry in settlements)
    found = _select_in(cursor, "SELECT request_id, amount, token_amount FROM holds WHERE request_id IN", ids, lock=True)
    open_holds = {row[0]: (row[1], row[2]) for row in found}
    _delete_holds(cursor, list(open_holds))
    missing = [request_id for request_id in ids if request_id not in open_holds]
    charged = {row[0] for row in _select_in(cursor, "SELECT reference FROM ledger_entries WHERE reference IN", missing)}
    by_user: dict[int, list[_Due]] = defaultdict(list)
    for i, entry in settlements:
        held, token_held = open_holds.get(entry.request_id, (0, 0))
        if entry.request_id in charged or (entry.charge is None and entry.request_id not in open_holds):
            outcomes[i] = Outcome(Verdict.GRANTED, entry.charge or 0)  # done before: nothing is posted twice (I3)
            continue
        by_user[entry.user_id].append(_Due(i, entry, held, token_held, entry.charge or 0))
    for user_id in sorted(by_user):
        dues = by_user[user_id]
        if _settle_all(cursor, user_id, dues, now):
            for due in dues:
                outcomes[due.index] = Outcome(Verdict.GRANTED, due.charge)
        else:
            _settle_each(cursor, user_id, dues, outcomes, now)
    _record(cursor, [due for dues in by_user.values() for due in dues], outcomes, now)


def _settle_all(cursor: CursorWrapper, user_id: int, dues: list[_Due], now: int) -> bool:
    """The usual case: every charge is covered; one update for the user and one for each token."""
    charge = sum(due.charge for due in dues)
    held = sum(due.held for due in dues)
    calls = sum(due.entry.charge is not None for due in dues)
    cursor.execute(
        "UPDATE users SET quota = quota - %s, held = held - %s, used_quota = used_quota + %s,"
        " request_count = request_count + %s WHERE id = %s AND quota - held >= %s",
        (charge, held, charge, calls, user_id, charge - held),
    )
    if not cursor.rowcount:
        return False
    done: list[tuple[int, int, int, bool]] = []
    for token_id, (token_charge, token_held, limited) in _per_token(dues).items():
        if not _settle_token(cursor, token_id, token_charge, token_held, limited, now):
            for undo in done:
                _undo_token(cursor, *undo)
            cursor.execute(
                "UPDATE users SET quota = quota + %s, held = held + %s, used_quota = used_quota - %s,"
                " request_count = request_count - %s WHERE id = %s",
                (charge, held, charge, calls, user_id),
            )
            return False
        done.append((token_id, token_charge, token_held, limited))
    return True


def _per_token(dues: list[_Due]) -> dict[int, tuple[int, int, bool]]:
    sums: dict[int, tuple[int, int, bool]] = {}
    for due in sorted(dues, key=lambda due: due.entry.token_id):
        charge, held, _ = sums.get(due.entry.token_id, (0, 0, False))
        sums[due.entry.token_id] = (charge + due.charge, held + due.token_held, due.entry.limited)
    return sums


def _settle_token(cursor: CursorWrapper, token_id: int, charge: int, held: int, limited: bool, now: int) -> bool:
    if not limited:
        cursor.execute(
            "UPDATE tokens SET used_quota = used_quota + %s, accessed_time = %s WHERE id = %s", (charge, now, token_id)
        )
        return True
    cursor.execute(
        "UPDATE tokens SET remain_quota = remain_quota - %s, held = held - %s, used_quota = used_quota + %s,"
        " accessed_time = %s WHERE id = %s AND remain_quota - held >= %s",
        (charge, held, charge, now, token_id, charge - held),
    )
    return bool(cursor.rowcount)


def _undo_token(cursor: CursorWrapper, token_id: int, charge: int, held: int, limited: bool) -> None:
    back, held = (charge, held) if limited else (0, 0)
    cursor.execute(
        "UPDATE tokens SET remain_quota = remain_quota + %s, held = held + %s, used_quota = used_quota - %s WHERE id = %s",
        (back, held, charge, token_id),
    )


def _settle_each(cursor: CursorWrapper, user_id: int, dues: list[_Due], outcomes: dict[int, Outcome], now: int) -> None:
    """Some charge is more than its hold and the free balance: collect what there is, record the rest (I2)."""
    user = _lock_purses(cursor, "users", "quota", [user_id]).get(user_id)
    tokens = _lock_purses(cursor, "tokens", "remain_quota", [due.entry.token_id for due in dues if due.entry.limited])
    for due in dues:
        token = tokens.get(due.entry.token_id) if due.entry.limited else None
        purses = [purse for purse in (user, token) if purse]
        if user:
            user.held -= due.held
        if token:
            token.held -= due.token_held
        paid = min([due.charge, *(max(purse.free, 0) for purse in purses)]) if user else 0
        for purse in purses:
            purse.balance -= paid
        outcomes[due.index] = Outcome(Verdict.GRANTED, paid, due.charge - paid)
        due.charge = paid
    if user:
        paid = sum(due.charge for due in dues)
        calls = sum(due.entry.charge is not None for due in dues)
        cursor.execute(
            "UPDATE users SET quota = %s, held = %s, used_quota = used_quota + %s,"
            " request_count = request_count + %s WHERE id = %s",
            (user.balance, user.held, paid, calls, user_id),
        )
    for token_id, (paid, _, limited) in _per_token(dues).items():
        token = tokens.get(token_id)
        if token:
            cursor.execute(
                "UPDATE tokens SET remain_quota = %s, held = %s, used_quota = used_quota + %s, accessed_time = %s"
                " WHERE id = %s",
                (token.balance, token.held, paid, now, token_id),
            )
        elif not limited:
            _settle_token(cursor, token_id, paid, 0, limited, now)


def _record(cursor: CursorWrapper, dues: list[_Due], outcomes: dict[int, Outcome], now: int) -> None:
    """Ledger, log rows and channel counters of what was charged; releases leave no trace."""
    charged = [due for due in dues if due.entry.charge is not None]
    if not charged:
        return
    _insert(
        cursor,
        "ledger_entries",
        LEDGER_COLUMNS,
        [
            (d.entry.user_id, CHARGE, -d.charge, now, d.entry.request_id, d.entry.token_id, d.entry.channel_id, 0, "")
            for d in charged
        ],
    )
    logs = [
        {
            **LOG_DEFAULTS,
            **due.entry.log,
            "user_id": due.entry.user_id,
            "token_id": due.entry.token_id,
            "channel_id": due.entry.channel_id,
            "request_id": due.entry.request_id,
            "created_at": now,
            "quota": due.charge,
            "uncollected": outcomes[due.index].uncollected,
        }
        for due in charged
        if due.entry.logged
    ]
    if settings.LOG_DATABASE_ALIAS == "default":
        _insert(cursor, "logs", LOG_COLUMNS, [tuple(row[column] for column in LOG_COLUMNS) for row in logs])
    else:
        _insert(cursor, "log_outbox", ("created_at", "row"), [(now, json.dumps(row)) for row in logs])
    per_channel: dict[int, int] = defaultdict(int)
    for due in charged:
        per_channel[due.entry.channel_id] += due.charge
    for channel_id in sorted(per_channel):
        if per_channel[channel_id]:
            cursor.execute(
                "UPDATE channels SET used_quota = used_quota + %s WHERE id = %s", (per_channel[channel_id], channel_id)
            )


# --- upkeep ----------------------------------------------------------------------------------------------------


def beat(worker: str) -> None:
    """Keep this worker's holds alive: their time to live starts again."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE holds SET expires_at = %s WHERE worker = %s", (int(time.time()) + settings.HOLD_TTL, worker)
        )


def expired(limit: int = 200) -> list[Settlement]:
    """Settlements for holds whose process has gone (I5): the recorded progress of a stream, else a release."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT request_id, user_id, token_id, amount, token_amount, channel_id, username, token_name,"
            " model_name, prompt_tokens, completion_tokens, charge, content, created_at"
            f" FROM holds WHERE expires_at < %s ORDER BY expires_at LIMIT {int(limit)}",  # noqa: S608
            (int(time.time()),),
        )
        rows = cursor.fetchall()
    return [
        Settlement(
            request_id=row[0],
            user_id=row[1],
            token_id=row[2],
            limited=row[4] > 0,
            held=row[3],
            charge=row[11] or None,
            channel_id=row[5],
            log={
                "username": row[6],
                "token_name": row[7],
                "model_name": row[8],
                "prompt_tokens": row[9],
                "completion_tokens": row[10],
                "content": row[12],
                "is_stream": True,
                "estimated": True,
                "elapsed_time": max(0, int(time.time()) - row[13]) * 1000,
            },
        )
        for row in rows
    ]


# --- SQL -------------------------------------------------------------------------------------------------------


def _insert(cursor: CursorWrapper, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    quote = connection.ops.quote_name
    names = ", ".join(quote(column) for column in columns)
    marks = "(" + ", ".join(["%s"] * len(columns)) + ")"
    values = ", ".join([marks] * len(rows))
    cursor.execute(
        f"INSERT INTO {table} ({names}) VALUES {values}",  # noqa: S608
        [value for row in rows for value in row],
    )


def _delete_holds(cursor: CursorWrapper, request_ids: list[str]) -> None:
    if request_ids:
        marks = ", ".join(["%s"] * len(request_ids))
        cursor.execute(f"DELETE FROM holds WHERE request_id IN ({marks})", request_ids)  # noqa: S608


def _select_in(cursor: CursorWrapper, query: str, values: Sequence[Any], *, lock: bool = False) -> list[Any]:
    """Rows whose key is one of `values`; with `lock`, in key order and kept from others until commit."""
    if not values:
        return []
    marks = ", ".join(["%s"] * len(values))
    key = query.split("WHERE ")[1].split(" ")[0]
    suffix = f" ORDER BY {key} FOR UPDATE" if lock and connection.features.has_select_for_update else ""
    cursor.execute(f"{query} ({marks}){suffix}", list(values))
    return list(cursor.fetchall())
