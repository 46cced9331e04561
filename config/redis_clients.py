"""Redis clients that do not ask a server again which a moment ago did not answer: nobody waits for it meanwhile.

Everything that uses Redis here can do without it, so a command that is not even tried costs nothing, while one that
waits for a frozen server costs its time limit each time.
"""

from __future__ import annotations

import time
from typing import Any

import redis

from config.redis import AWAY


class Patient:
    """Goes in front of a client's class. The state is one client's, which is one a process."""

    _asked_again = 0.0  # monotonic second before which the server is left alone

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Raises redis.ConnectionError at once while the server is left alone."""
        if time.monotonic() < self._asked_again:
            raise redis.ConnectionError("it did not answer a moment ago")
        try:
            return super().execute_command(*arguments, **options)  # type: ignore[misc]
        except (redis.ConnectionError, redis.TimeoutError):
            self._asked_again = time.monotonic() + AWAY
            raise


class Server(Patient, redis.Redis):
    pass


class Cluster(Patient, redis.RedisCluster):
    pass
