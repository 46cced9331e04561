"""What one worker process keeps running: the snapshot it routes by, the books, the upstream clients, the identities."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

from billing import standing, tokens
from billing.books import Books
from channels_app import health as channel_health
from channels_app import snapshot as routing
from channels_app.snapshot import Snapshot
from config.client_ip import Network
from options import versions
from options.announcing import Listener
from relay.alarms import Alarms
from relay.authenticate import Callers
from relay.dialing import ProxyRules
from relay.failures import Failures
from relay.health import Health
from relay.outside import Credentials
from relay.threads import in_database_thread
from relay.upstream import Clients
from relay.user_content import UserContent

log = logging.getLogger(__name__)

GARBAGE = 20_000  # new objects between two collections; the interpreter's 700 are reached every few calls
POLL = 0.4  # seconds between two looks at the versions: a change is in force well within a second
SOONEST = 0.05  # seconds: a look begun so recently is recent enough for a call about to be refused


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings a call goes by, read once: the settings object takes its time over each. Bytes and seconds."""

    body: int
    answer: int
    first_byte: float
    always_usage: bool  # ENFORCE_INCLUDE_USAGE
    trusted_proxies: tuple[Network, ...]

    @staticmethod
    def configured() -> Limits:
        return Limits(
            body=settings.RELAY_MAX_BODY,
            answer=settings.RELAY_MAX_ANSWER,
            first_byte=settings.RELAY_FIRST_BYTE_TIMEOUT,
            always_usage=settings.ENFORCE_INCLUDE_USAGE,
            trusted_proxies=settings.TRUSTED_PROXIES,
        )


class Worker:
    """Started once per process, in the event loop that serves it."""

    def __init__(self) -> None:
        self.limits = Limits.configured()
        self.alarms = Alarms()
        self.books = Books()
        self.callers = Callers()
        self.health = Health()
        self.clients = Clients(
            proxy=settings.RELAY_PROXY,
            environment=ProxyRules(settings.HTTP_PROXY, settings.HTTPS_PROXY, settings.NO_PROXY),
            connect=settings.RELAY_CONNECT_TIMEOUT,
            first_byte=settings.RELAY_FIRST_BYTE_TIMEOUT,
            idle=settings.RELAY_IDLE_TIMEOUT,
            total=settings.RELAY_TIMEOUT,
            alarms=self.alarms,
        )
        self.failures = Failures(self.books, self._logs_calls)
        self.credentials = Credentials()
        self.contents = UserContent.configured()
        self._snapshot: Snapshot | None = None
        self._identities = -1
        self._health = -1
        self._looking = threading.Lock()
        self._looked = 0.0  # monotonic time at which the last look began
        self._stopping = threading.Event()
        self._wake = threading.Event()  # somebody said that something changed
        self._listener = Listener(self._wake.set)
        self._watcher = threading.Thread(target=self._watch, name="snapshots", daemon=True)

    @property
    def snapshot(self) -> Snapshot | None:
        """None until the first one has been loaded (the database was away at the start)."""
        return self._snapshot

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def _logs_calls(self) -> bool:
        return self._snapshot is None or bool(self._snapshot.options["LogConsumeEnabled"])

    def start(self) -> None:
        gc.freeze()  # what was imported stays: no collection has to look at it again
        gc.set_threshold(GARBAGE, 20, 50)
        standing.bound_pages()
        self.books.start()
        self.health.start()
        self._watcher.start()
        self._listener.start()
        # Vocabularies take half a second to build: neither in the first call that needs them, nor before the snapshot.
        threading.Thread(target=tokens.warm, name="vocabularies", daemon=True).start()

    async def stop(self) -> None:
        """Called when no request runs any more: what is waiting for the books is written first."""
        self._stopping.set()
        self._listener.stop()
        self._wake.set()
        await self.books.stop()
        await asyncio.to_thread(self.health.stop)
        self.clients.close()
        self.callers.close()

    def _watch(self) -> None:
        """Replace the snapshot and forget identities when their versions move. Survives whatever a look runs into."""
        standing.keep()
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                with standing.answered():
                    self._look()
            except (DatabaseError, InterfaceError) as error:
                log.warning("snapshots: the database cannot be read: %s", str(error).splitlines()[:1])
                connections.close_all()
            except Exception:
                # The edge of this thread: one row that cannot be read must not end the looking for all that changes.
                log.exception("snapshots: what the database holds cannot be used")
                connections.close_all()
            if self._wake.wait(min(POLL, settings.SYNC_FREQUENCY or POLL)):
                self._stopping.wait(SOONEST)  # however often it is said
        connections.close_all()

    async def look_again(self) -> None:
        """Look at the versions now, before something is refused that may just have been created."""
        asked = time.monotonic()
        if self._snapshot is None or asked - self._looked > SOONEST:  # None: the first look is waited for
            try:
                await in_database_thread(self._look, asked)
            except (DatabaseError, InterfaceError) as error:
                log.warning("snapshots: the database cannot be read: %s", str(error).splitlines()[:1])

    def _look(self, asked: float | None = None) -> None:
        """Of many who ask at once, one looks."""
        with self._looking:
            if asked is not None and self._looked >= asked:
                return
            self._looked = time.monotonic()
            seen = versions.read()
            if self._snapshot is None or seen[versions.ROUTING] != self._snapshot.version:
                self._snapshot = routing.load()
                self.health.follow(self._snapshot)
            if seen[versions.IDENTITIES] != self._identities:
                self._identities = seen[versions.IDENTITIES]
                self.callers.forget()
            if seen[versions.HEALTH] != self._health:
                self._health = seen[versions.HEALTH]
                self.health.hear(channel_health.avoided())
