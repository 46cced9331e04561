"""/healthz, /readyz and /metrics: plain ASGI, in front of Django, so that they answer whatever state that is in."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

from django.conf import settings

from config.client_ip import Network, networks
from relay.worker import Worker
from telemetry import page, readiness
from telemetry.text import TYPE

Headers = list[tuple[bytes, bytes]]
PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
JSON = b"application/json"
LOOPBACK = networks("127.0.0.0/8,::1")
# Whoever comes with one of these was sent on by a proxy: its address says nothing about who asks.
FORWARDED = frozenset({b"x-forwarded-for", b"x-real-ip", b"forwarded", b"via", b"x-forwarded-host"})


class Front:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._token: bytes = settings.METRICS_TOKEN.encode()
        # Where a token is set, being near does not do, unless it is said who is near enough.
        self._near: tuple[Network, ...] = settings.METRICS_ALLOWED or (() if self._token else LOOPBACK)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="telemetry")

    async def __call__(self, scope: dict[str, Any], send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        status, kind, body, headers = 405, JSON, b'{"status":"method not allowed"}', [(b"allow", b"GET, HEAD")]
        if scope["method"] in ("GET", "HEAD"):
            status, kind, body, headers = await self._answer(scope)
        length = str(len(body)).encode()
        headers = [*headers, (b"content-type", kind), (b"content-length", length), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: dict[str, Any]) -> tuple[int, bytes, bytes, Headers]:
        loop = asyncio.get_running_loop()
        match scope["path"]:
            case "/healthz":  # that it is answered is the answer: the process is there and its event loop turns
                return 200, JSON, b'{"status":"ok"}', []
            case "/readyz":
                missing = await loop.run_in_executor(self._threads, readiness.missing, self._worker)
                body = {"status": "not ready", "missing": missing} if missing else {"status": "ok"}
                return (503 if missing else 200), JSON, json.dumps(body).encode(), []
        if not self._may_read(scope):
            asks = [(b"www-authenticate", b"Bearer")] if self._token else []
            return (401 if self._token else 403), JSON, b'{"status":"not allowed"}', asks
        return 200, TYPE, await loop.run_in_executor(self._threads, page.build), []

    def _may_read(self, scope: dict[str, Any]) -> bool:
        headers = dict(scope["headers"])
        if self._token:
            shown = headers.get(b"authorization", b"")
            if shown[:7].lower() == b"bearer " and hmac.compare_digest(shown[7:].strip(), self._token):
                return True
        if not FORWARDED.isdisjoint(headers) or not scope.get("client"):
            return False
        try:
            peer = ip_address(scope["client"][0])
        except ValueError:
            return False
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in self._near)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
