"""What running streams have generated so far, and holds that grow with them."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from billing.batch.entries import Outcome, Progress, Verdict
from billing.batch.purses import hold_of_token, hold_of_user
from billing.batch.sql import select_in


def record(cursor: Any, progresses: list[tuple[int, Progress]], outcomes: dict[int, Outcome], now: int) -> None:
    """Record what was generated and raise the holds; a stream that cannot grow keeps what it has."""
    open_holds = {
        row[0]: row[1]
        for row in select_in(
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
            held = open_holds[progress.request_id] = progress.amount
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


def _grow(cursor: Any, progress: Progress, more: int) -> bool:
    if not hold_of_user(cursor, progress.user_id, more):
        return False
    if progress.limited and not hold_of_token(cursor, progress.token_id, more):
        cursor.execute("UPDATE users SET held = held - %s WHERE id = %s", (more, progress.user_id))
        return False
    return True
