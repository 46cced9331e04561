"""Setting points aside for calls that are about to start."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.conf import settings

from billing.batch.entries import Hold, Outcome, Verdict
from billing.batch.purses import Purse, hold_of_token, hold_of_user, lock_tokens, lock_users
from billing.batch.sql import insert, select_in

HOLD_COLUMNS = (
    "request_id", "user_id", "token_id", "amount", "token_amount", "worker", "created_at", "expires_at",
    "channel_id", "username", "token_name", "model_name", "prompt_tokens", "completion_tokens", "charge", "content",
)  # fmt: skip


def not_yet_held(cursor: Any, holds: list[tuple[int, Hold]], outcomes: dict[int, Outcome]) -> list[tuple[int, Hold]]:
    rows = select_in(
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


def hold(cursor: Any, holds: list[tuple[int, Hold]], outcomes: dict[int, Outcome], now: int) -> None:
    decide(cursor, holds, outcomes)
    expires = now + settings.HOLD_TTL
    granted = [(outcomes[i], hold) for i, hold in holds if outcomes[i].verdict is Verdict.GRANTED]
    insert(
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


def decide(cursor: Any, holds: list[tuple[int, Hold]], outcomes: dict[int, Outcome]) -> None:
    """Raise what users and tokens hold, as far as they can bear it. Writes no rows."""
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


def _hold_all(cursor: Any, user_id: int, holds: list[Hold]) -> bool:
    """The usual case: everything fits, decided by one conditional update for the user and one for each token."""
    total = sum(hold.amount for hold in holds)
    if not hold_of_user(cursor, user_id, total):
        return False
    per_token: dict[int, int] = defaultdict(int)
    for hold in holds:
        if hold.limited:
            per_token[hold.token_id] += hold.amount
    raised: list[tuple[int, int]] = []
    for token_id in sorted(per_token):
        if not hold_of_token(cursor, token_id, per_token[token_id]):
            for done, amount in raised:
                cursor.execute("UPDATE tokens SET held = held - %s WHERE id = %s", (amount, done))
            cursor.execute("UPDATE users SET held = held - %s WHERE id = %s", (total, user_id))
            return False
        raised.append((token_id, per_token[token_id]))
    return True


def _hold_each(cursor: Any, user_id: int, wanted: list[tuple[int, Hold]], outcomes: dict[int, Outcome]) -> None:
    """The summed update was refused: lock the rows and decide one by one, in order of arrival."""
    user = lock_users(cursor, [user_id]).get(user_id)
    tokens = lock_tokens(cursor, [h.token_id for _, h in wanted if h.limited])
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


def _decide(hold: Hold, user: Purse, token: Purse | None) -> Outcome:
    purses = [user, token] if token else [user]
    free = min(purse.free for purse in purses)
    alone = all(purse.held == 0 for purse in purses if not purse.unlimited)
    if free >= hold.amount:
        return Outcome(Verdict.GRANTED, hold.amount)
    if token and not token.unlimited and token.balance < max(hold.least, 1):
        return Outcome(Verdict.TOKEN_EMPTY if token.balance <= 0 else Verdict.TOKEN_SHORT)
    if user.balance < hold.least:
        return Outcome(Verdict.USER_SHORT)
    if free >= hold.least and (alone or not hold.patient):
        return Outcome(Verdict.GRANTED, free)
    if hold.patient:
        return Outcome(Verdict.BUSY)
    return Outcome(Verdict.TOKEN_SHORT if token and token.free < hold.least else Verdict.USER_SHORT)
