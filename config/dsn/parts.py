"""What addresses of every kind share: their error, and what operators set about connections apart from them."""

from __future__ import annotations

from dataclasses import dataclass

CONNECT_TIMEOUT = 10  # seconds


class BadDsn(ValueError):
    """The address cannot be used. The message never repeats the address, which may hold a password."""


@dataclass(frozen=True)
class Pool:
    """SQL_MAX_IDLE_CONNS, SQL_MAX_OPEN_CONNS, SQL_MAX_LIFETIME (seconds) and SQLITE_BUSY_TIMEOUT (milliseconds)."""

    idle: int = 100
    open: int = 1000
    lifetime: int = 60
    busy_timeout: int = 3000
