"""What adapters reach for beside the pipeline: connections, short-lived credentials, media that callers name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from relay.adapters.base import Adapter, Outgoing
from relay.neutral.request import Chat, Media, Part, Request, ToolResult
from relay.types import Attempt
from relay.upstream import Answer, Clients
from relay.user_content import UserContent

RENEW_BEFORE = 300.0  # seconds before its end at which a credential is renewed, or half its life where that is shorter


class Credentials:
    """The short-lived credentials of one worker, by whatever they depend on. Belongs to its event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, str]] = {}
        self._coming: dict[str, asyncio.Task[str]] = {}

    async def token(self, key: str, get: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        """Raises what `get` raises; a failure is not remembered."""
        kept = self._kept.get(key)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        coming = self._coming.get(key)
        if coming is None:
            coming = self._coming[key] = asyncio.create_task(self._renew(key, get))
            coming.add_done_callback(lambda task: self._done(key, task))
        return await asyncio.shield(coming)  # the others who wait for it are not cancelled with this call

    async def _renew(self, key: str, get: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        token, lives = await get()
        self._kept[key] = (time.monotonic() + lives - min(RENEW_BEFORE, lives / 2), token)
        return token

    def _done(self, key: str, task: asyncio.Task[str]) -> None:
        self._coming.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever waits has it; where nobody does any more, nobody is told


class Outside:
    """`relay.adapters.base.Outside` for one channel: everything goes by its proxy."""

    def __init__(self, clients: Clients, credentials: Credentials, contents: UserContent, proxy: str) -> None:
        self._clients = clients
        self._credentials = credentials
        self._contents = contents
        self._proxy = proxy
        self.exchanging = False  # for a credential, without which the request itself cannot go out

    def send(self, outgoing: Outgoing) -> Answer:
        return self._clients.send(outgoing.method, outgoing.url, outgoing.headers, outgoing.body, proxy=self._proxy)

    async def opened(
        self, method: str, url: str, headers: list[tuple[str, str]], body: bytes, attempt: Attempt
    ) -> Answer:
        """An answer whose head is there; the attempt knows whether anything went out."""
        answer = self._clients.send(method, url, headers, body, proxy=self._proxy)
        try:
            await answer.open()
        finally:
            attempt.sent = attempt.sent or answer.sent
        return answer

    async def fetch_json(self, outgoing: Outgoing, limit: int = 1024 * 1024) -> tuple[int, bytes]:
        answer = self.send(outgoing)
        try:
            await answer.open()
            return answer.status, await answer.read(limit)
        finally:
            answer.close()

    async def token(self, key: str, get: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        self.exchanging = True
        token = await self._credentials.token(key, get)
        self.exchanging = False
        return token

    async def media(self, media: Media) -> Media:
        if media.data or not media.url:
            return media
        content = await self._contents.fetch(media.url, media.kind)
        return Media(media.kind, "", content.data, content.mime, media.name, media.detail, media.cache)

    async def with_media(self, request: Request, adapter: Adapter) -> None:
        """Give the adapter as bytes what it cannot take as an address. Raises BadRequest, UpstreamError."""
        if isinstance(request, Chat):
            for turn in request.turns:
                turn.parts = [await self._fitting(part, adapter) for part in turn.parts]

    async def _fitting(self, part: Part, adapter: Adapter) -> Part:
        if isinstance(part, Media):
            return await self._given(part, adapter)
        if isinstance(part, ToolResult):
            part.parts = [
                await self._given(piece, adapter) if isinstance(piece, Media) else piece for piece in part.parts
            ]
        return part

    async def _given(self, media: Media, adapter: Adapter) -> Media:
        if media.data or not media.url or adapter.takes_url(media.url):
            return media
        return await self.media(media)
