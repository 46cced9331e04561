"""Log lines as the books write them: into the log, or into the outbox of a log database of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from billing.batch.entries import Failure, Settlement
from billing.batch.purses import BIGGEST
from billing.batch.sql import insert

OK = 200  # a status of 0 would say that the line is not in the sums of usage (billing.usage_catch_up)
CONSUME, ERROR = 2, 6  # of LogType; plain numbers on the hot path
LOG_COLUMNS = (
    "user_id", "created_at", "type", "content", "username", "token_name", "token_id", "model_name", "quota",
    "prompt_tokens", "completion_tokens", "channel_id", "request_id", "elapsed_time", "is_stream",
    "system_prompt_reset", "estimated", "uncollected", "usage_details", "cached_tokens", "group", "ip", "status",
    "error_code", "first_token_time", "upstream_model", "user_agent",
)  # fmt: skip


def log_row(kind: int, entry: Settlement | Failure, quota: int, uncollected: int, now: int) -> tuple[Any, ...]:
    """The values of LOG_COLUMNS. Numbers an upstream reports may be larger than a column: the largest that fits."""
    told = entry.log.get
    return (
        entry.user_id, now, kind, told("content", ""), told("username", ""), told("token_name", ""), entry.token_id,
        told("model_name", ""), quota, min(told("prompt_tokens", 0), BIGGEST),
        min(told("completion_tokens", 0), BIGGEST), entry.channel_id, entry.request_id, told("elapsed_time", 0),
        told("is_stream", False), told("system_prompt_reset", False), told("estimated", False), uncollected,
        told("usage_details", ""), min(told("cached_tokens", 0), BIGGEST), told("group", ""), told("ip", ""),
        told("status", OK), told("error_code", ""), told("first_token_time", 0), told("upstream_model", ""),
        told("user_agent", ""),
    )  # fmt: skip


def write(cursor: Any, rows: Sequence[tuple[Any, ...]], now: int) -> None:
    if settings.LOG_DATABASE_ALIAS == "default":
        insert(cursor, "logs", LOG_COLUMNS, rows)
        return
    waiting = [(now, json.dumps(dict(zip(LOG_COLUMNS, row, strict=True)))) for row in rows]
    insert(cursor, "log_outbox", ("created_at", "row"), waiting)
