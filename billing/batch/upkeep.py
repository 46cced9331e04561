"""Keeping the holds of a living worker alive, and finding those of the dead (invariant I5)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction

from billing.batch.entries import Settlement
from billing.batch.sql import select_in

DIED = "worker_died"  # the error code of a stream whose process ended before it did


def beat(worker: str) -> None:
    """Keep this worker's holds alive: their time to live starts again."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE holds SET expires_at = %s WHERE worker = %s", (int(time.time()) + settings.HOLD_TTL, worker)
        )


def disown(request_ids: list[str]) -> None:
    """Let these holds expire: no beat reaches them any more, and a sweeper settles or releases them (I5)."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.executemany("UPDATE holds SET worker = '' WHERE request_id = %s", [(one,) for one in request_ids])


class Late(NamedTuple):
    """A hold that its process has not kept alive as it should. `over`: it may be ended, if that process has gone."""

    request_id: str
    ends: int  # Unix seconds
    over: bool


def late() -> list[Late]:
    """All holds that have missed beats, or end later than any can that was made by a right clock; the oldest first.

    Those that are not over yet have half of their life behind them, in which a living process beats at least three
    times. Whether their processes have gone is for the caller to find out (billing.sweeping).
    """
    now = int(time.time())
    latest = now + 2 * settings.HOLD_TTL
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT request_id, expires_at FROM holds WHERE expires_at < %s OR expires_at > %s ORDER BY expires_at",
            (now + settings.HOLD_TTL // 2, latest),
        )
        return [Late(request_id, ends, ends < now or ends > latest) for request_id, ends in cursor.fetchall()]


def endings(request_ids: Sequence[str]) -> list[tuple[int, Settlement]]:
    """(end, what would settle it) of those of these holds that are open: a stream's progress, else a release."""
    group = connection.ops.quote_name("group")
    query = (
        "SELECT h.expires_at, h.created_at, h.request_id, h.user_id, h.token_id, h.token_amount, t.unlimited_quota,"  # noqa: S608
        f" h.channel_id, h.charge, h.username, h.token_name, h.model_name, u.{group}, h.prompt_tokens,"
        " h.completion_tokens, h.content FROM holds h"
        " LEFT JOIN tokens t ON t.id = h.token_id LEFT JOIN users u ON u.id = h.user_id WHERE h.request_id IN"
    )
    now = int(time.time())
    with connection.cursor() as cursor:
        return [(end, _ending(now - began, *row)) for end, began, *row in select_in(cursor, query, request_ids)]


def _ending(
    seconds: int,
    request_id: str,
    user_id: int,
    token_id: int,
    token_amount: int,
    unlimited: bool | None,
    channel_id: int,
    charge: int,
    username: str,
    token_name: str,
    model_name: str,
    group: str | None,
    prompt_tokens: int,
    completion_tokens: int,
    content: str,
) -> Settlement:
    """`unlimited` and `group` are None where the token or the user has been deleted since."""
    return Settlement(
        request_id=request_id,
        user_id=user_id,
        token_id=token_id,
        limited=token_amount > 0 or (unlimited is not None and not unlimited),
        charge=charge or None,
        channel_id=channel_id,
        log={
            "username": username,
            "token_name": token_name,
            "model_name": model_name,
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "content": content,
            "is_stream": True,
            "estimated": True,
            "elapsed_time": max(0, seconds) * 1000,
            "group": group or "",
            "status": 200,
            "error_code": DIED,
        },
    )
