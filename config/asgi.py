"""The switchboard: relay paths to the relay, everything else to Django, one process and one event loop for both."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django
from django.apps import apps
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler

if not apps.ready:  # `manage.py serve` has set up everything, its log as well
    django.setup(set_prefix=False)
console = ASGIHandler()

from config import frontend, intake  # noqa: E402
from config.client_ip import came_over_tls  # noqa: E402
from console.relayed import SCOPE, Door  # noqa: E402
from jobs import running  # noqa: E402
from jobs.runner import STOP, Runner  # noqa: E402
from relay.app import Relay, handles  # noqa: E402  (models can be imported only now)
from relay.asgi import Receive, Scope, Send  # noqa: E402
from relay.realtime import front as realtime  # noqa: E402
from relay.worker import Worker  # noqa: E402
from telemetry import front  # noqa: E402
from telemetry.watch import Watch  # noqa: E402

MOST_AT_ONCE = 64  # requests in Django at a time; each may hold a thread and a database connection


class Application:
    """Starts the worker's parts with the server (lifespan), or with the first request where a server has none."""

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._relay: Relay | None = None
        self._realtime: realtime.Realtime | None = None
        self._runner: Runner | None = None
        self._front: front.Front | None = None
        self._watch: Watch | None = None
        self._ends: list[Callable[[], None]] = []
        self._room = asyncio.Semaphore(max(1, min(MOST_AT_ONCE, settings.SQL_MAX_OPEN_CONNS)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            if handles(scope["path"]):
                await self._started()(scope, receive, send)
            elif scope["path"] in front.PATHS:
                self._started()
                assert self._front is not None
                await self._front(scope, send)
            elif not scope["path"].startswith("/api") and (url := _elsewhere(scope)):
                await send({"type": "http.response.start", "status": 301, "headers": [(b"location", url)]})
                await send({"type": "http.response.body"})
            else:
                await self._to_django(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        elif realtime.handles(scope["path"]):
            self._started()
            assert self._realtime is not None
            await self._realtime(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _to_django(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await intake.read(receive) if intake.announced(scope) <= intake.MOST_BODY else None
        except intake.CallerGone:
            return
        if body is None:
            await intake.refuse(scope, send)
            return
        door = Door(self._started(), scope)
        async with self._room:
            inside = {**_as_called(scope), SCOPE: door}
            await console(inside, intake.replay(body, receive), door.guarding(send))  # type: ignore[arg-type]
        await door.go_through(receive, send)

    def _started(self) -> Relay:
        if self._relay is None:
            if settings.SENTRY_DSN:
                from telemetry import sentry

                sentry.start()
            self._worker = Worker()
            self._worker.start()
            self._relay = Relay(self._worker)
            self._realtime = realtime.Realtime(self._worker)
            self._front = front.Front(self._worker)
            self._watch = Watch(self._worker)
            self._watch.start()
            if settings.OTEL_ENABLED:
                from telemetry import tracing

                tracing.start()
                self._ends.append(tracing.stop)
            if settings.IS_MASTER:
                self._runner = Runner()
                self._runner.start()
        return self._relay

    async def _stopped(self) -> None:
        """Periodic work first: what a slave was asked to do by hand ends here too."""
        if self._runner is not None:
            await asyncio.to_thread(self._runner.stop)
        else:
            await asyncio.to_thread(running.stop_all, STOP)
        if self._watch is not None and self._front is not None:
            self._watch.stop()
            self._front.close()
        if self._worker is not None:
            await self._worker.stop()
        for end in self._ends:
            await asyncio.to_thread(end)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message: dict[str, Any] = await receive()
            if message["type"] == "lifespan.startup":
                self._started()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._stopped()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _as_called(scope: Scope) -> Scope:
    """With the scheme that the caller used, where a trusted proxy took TLS off."""
    peer = scope["client"][0] if scope.get("client") else ""
    proto = dict(scope["headers"]).get(b"x-forwarded-proto", b"").decode("latin-1")
    return {**scope, "scheme": "https"} if came_over_tls(peer, proto, settings.TRUSTED_PROXIES) else scope


def _elsewhere(scope: Scope) -> bytes | None:
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    url = frontend.elsewhere(path, scope["query_string"].decode("latin-1"))
    return None if url is None else url.encode("latin-1")


application = Application()
