"""Log lines as the books write them: into the log, or into the outbox of a log database of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from django.conf import settings

from billing.batch.entries import Failure, Settlement
from billing.batch.purses import BIGGEST
from billing.batch.sql import insert

OK = 200  # a status of 0 would say that the line is not in the sums of usage (billing.usage_catch_up)
CONSUME, ERROR = 2, 6  # of LogType; plain numbers on the hot path
# What an entry's `log` may tell, and what stands for it where it does not.
NOT_TOLD: dict[str, Any] = {
    "content": "", "username": "", "token_name": "", "model_name": "", "elapsed_time": 0, "is_stream": False,
    "system_prompt_reset": False, "estimated": False, "usage_details": "", "group": "", "ip": "", "status": OK,
    "error_code": "", "first_token_time": 0, "upstream_model": "", "user_agent": "",
}  # fmt: skip
LOG_COLUMNS = (
    "user_id", "created_at", "type", "token_id", "channel_id", "request_id", "quota", "uncollected", "prompt_tokens",
    "completion_tokens", "cached_tokens", *NOT_TOLD,
)  # fmt: skip
_told = itemgetter(*NOT_TOLD)


def log_row(kind: int, entry: Settlement | Failure, quota: int, uncollected: int, now: int) -> tuple[Any, ...]:
    """The values of LOG_COLUMNS. Numbers an upstream reports may be larger than a column: the largest that fits."""
    log = entry.log
    return (
        entry.user_id, now, kind, entry.token_id, entry.channel_id, entry.request_id, quota, uncollected,
        min(log.get("prompt_tokens", 0), BIGGEST), min(log.get("completion_tokens", 0), BIGGEST),
        min(log.get("cached_tokens", 0), BIGGEST), *_told(NOT_TOLD | log),
    )  # fmt: skip


def write(cursor: Any, rows: Sequence[tuple[Any, ...]], now: int) -> None:
    if settings.LOG_DATABASE_ALIAS == "default":
        insert(cursor, "logs", LOG_COLUMNS, rows)
        return
    waiting = [(now, json.dumps(dict(zip(LOG_COLUMNS, row, strict=True)))) for row in rows]
    insert(cursor, "log_outbox", ("created_at", "row"), waiting)
