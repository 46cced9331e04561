"""OpenAI's old billing addresses, by which clients show what a key has left (management contract, section 8)."""

from __future__ import annotations

from decimal import Decimal

import orjson

from accounts.callers import Caller
from options.registry import Options
from relay.asgi import Reply
from relay.authenticate import read_key
from relay.route import current
from relay.types import Head
from relay.worker import Worker

UNLIMITED = 100_000_000  # what an unlimited token shows, in whatever unit


async def subscription(worker: Worker, head: Head, reply: Reply) -> None:
    options, caller = await _look(worker, head)
    by_token = options["DisplayTokenStatEnabled"]
    total = caller.remain_quota + caller.token_used_quota if by_token else caller.user_quota + caller.user_used_quota
    amount = UNLIMITED if by_token and caller.unlimited else _shown(options, total)
    await reply.whole(
        200,
        orjson.dumps(
            {
                "object": "billing_subscription",
                "has_payment_method": True,
                "soft_limit_usd": amount,
                "hard_limit_usd": amount,
                "system_hard_limit_usd": amount,
                "access_until": max(caller.expired_time, 0) if by_token else 0,
            }
        ),
    )


async def usage(worker: Worker, head: Head, reply: Reply) -> None:
    """In cents, or points × 100; dates in the query are ignored as ever."""
    options, caller = await _look(worker, head)
    used = caller.token_used_quota if options["DisplayTokenStatEnabled"] else caller.user_used_quota
    await reply.whole(200, orjson.dumps({"object": "list", "total_usage": _shown(options, used * 100)}))


async def _look(worker: Worker, head: Head) -> tuple[Options, Caller]:
    caller, _ = await worker.callers.authenticate(head)
    return current(worker).options, await worker.callers.fresh(caller, read_key(head)[0])


def _shown(options: Options, points: int) -> float:
    return float(Decimal(points) / options["QuotaPerUnit"]) if options["DisplayInCurrencyEnabled"] else float(points)
