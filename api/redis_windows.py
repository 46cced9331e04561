"""Limits counted in Redis, for all nodes together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import redis

from api.windows import Limit, Windows

log = logging.getLogger(__name__)

# What stands under the key and is no log of ours (another program's, another version's, one of a clock that ran ahead)
# is thrown away.
SLIDE = """
local now = tonumber(ARGV[1])
local kind = redis.call('TYPE', KEYS[1]).ok
local newest = kind == 'list' and tonumber(redis.call('LINDEX', KEYS[1], -1))
if kind ~= 'none' and (not newest or newest > now + 60) then redis.call('DEL', KEYS[1]) end
local first = redis.call('LINDEX', KEYS[1], -tonumber(ARGV[3]))
local full = redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[3])
if full and now - (tonumber(first) or 0) < tonumber(ARGV[2]) then return 0 end
if ARGV[4] == '1' then
  redis.call('RPUSH', KEYS[1], now)
  redis.call('LTRIM', KEYS[1], -tonumber(ARGV[3]), -1)
  redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[2])))
end
return 1
"""


class RedisWindows:
    """A sliding log all nodes share; while Redis is away the fallback counts.

    `connect` gives the process's client, and is asked each time: a cluster's may fail before the first command.
    """

    def __init__(self, connect: Callable[[], redis.Redis], fallback: Windows) -> None:
        self._connect = connect
        self._fallback = fallback

    def allows(self, limit: Limit, subject: str, *, count: bool = True) -> bool:
        arguments = [time.time(), limit.seconds, limit.count, int(count)]
        try:
            slide = self._connect().register_script(SLIDE)
            return bool(slide(keys=[f"rateLimit:{limit.key(subject)}"], args=arguments))
        except redis.RedisError as error:
            log.warning("rate limits are counted without Redis: %s", error)
            return self._fallback.allows(limit, subject, count=count)
