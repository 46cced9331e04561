"""Telling other processes at once that a version was raised, through Redis where there is one.

Nothing is told but that it is time to look: what changed stands in the database, and without Redis, or with one that is
away, everybody sees it there at the next look of its own. So a lost word costs half a second, and a false one a query.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.conf import settings

log = logging.getLogger(__name__)

CHANNEL = "one-api:changed"
LISTEN = 1.0  # seconds between two looks whether to go on listening, and between two tries to reach Redis


class Announcer:
    """One thread a process says it, so that nobody who changes something waits for Redis; many words become one."""

    def __init__(self) -> None:
        self._due = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def announce(self) -> None:
        if settings.REDIS is None:
            return
        self._due.set()
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._say, name="announcements", daemon=True)
                self._thread.start()

    def _say(self) -> None:
        from redis import RedisError  # nothing of it is wanted where no Redis is

        while self._due.wait():
            self._due.clear()
            assert settings.REDIS is not None
            try:
                settings.REDIS.client().publish(CHANNEL, "")
            except RedisError as error:
                log.info("a change was not announced, Redis does not answer: %s", error)


class Listener:
    """Calls `heard` (on a thread of its own) at every announcement, and when it begins to listen, again and again."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)

    def start(self) -> None:
        if settings.REDIS is not None:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _listen(self) -> None:
        from redis import RedisError

        assert settings.REDIS is not None
        told = False
        while not self._stopping.is_set():
            try:
                with settings.REDIS.client().pubsub(ignore_subscribe_messages=True) as words:
                    words.subscribe(CHANNEL)
                    self._heard()  # something may have been said while nobody listened
                    told = False
                    while not self._stopping.is_set():
                        if words.get_message(timeout=LISTEN) is not None:
                            self._heard()
            except RedisError as error:
                if not told:
                    log.warning("changes are seen by looking, Redis does not answer: %s", error)
                told = True
                self._stopping.wait(LISTEN)


_announcer = Announcer()


def announce() -> None:
    """Returns at once."""
    _announcer.announce()
