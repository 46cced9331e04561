"""A session under way: events go both ways as they come, until one of the two leaves or the money is gone."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from accounts.callers import Caller
from billing.usage import Usage
from relay.asgi import Receive, Send
from relay.authenticate import check_model
from relay.errors import ClientError, GatewayError, RelayError, UpstreamError
from relay.realtime.heard import Heard, Transcript
from relay.realtime.tab import Tab
from relay.types import Head
from relay.worker import Worker

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between two looks at whether the key is still good
POLICY, BROKEN = 1008, 1011  # close codes (RFC 6455, 7.4.1)


class CallerGone(Exception):
    """The caller closed the connection, or it broke."""


class Session:
    def __init__(
        self, worker: Worker, head: Head, caller: Caller, model: str, tab: Tab, line: ClientConnection, session_id: str
    ) -> None:
        self._worker = worker
        self._head = head
        self._caller = caller
        self._model = model
        self._tab = tab
        self._line = line
        self._session_id = session_id
        self._heard = Heard(session_id)

    async def run(self, receive: Receive, send: Send) -> RelayError | None:
        """Returns when both ends are closed and the books are right; what went wrong, if it did."""
        tasks = [
            asyncio.create_task(each) for each in (self._from_caller(receive), self._from_upstream(send), self._watch())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            leaving = asyncio.create_task(self._line.close())
            try:
                await self._tab.close(self._heard.so_far())
            except RelayError as away:  # the database is: a sweeper does it when it is back
                log.warning("session %s: not settled yet: %s", self._session_id, away.message)
            finally:
                await leaving
        failures = [failed for task in done if (failed := task.exception()) is not None]
        if any(isinstance(failed, CallerGone) for failed in failures):
            return None
        failure = failures[0] if failures else None
        await self._say_why(send, failure)
        return failure if isinstance(failure, RelayError) else None

    async def _from_caller(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                raise CallerGone
            said: str | bytes = message.get("text") or message.get("bytes") or ""
            self._heard.say(said)
            try:
                await self._line.send(said)
            except ConnectionClosed:
                await asyncio.Event().wait()  # what it said at last is still being passed on; that tells why

    async def _from_upstream(self, send: Send) -> None:
        """Raises UpstreamError when the upstream leaves in any other way than in order, and what the books refuse."""
        try:
            async for message in self._line:
                await self._pass_on(message, send)
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            raise UpstreamError("the upstream broke off the session", code="session_broken") from error

    async def _pass_on(self, message: str | bytes, send: Send) -> None:
        heard, tab = self._heard, self._tab
        before = len(heard.under_way)
        due = heard.hear(message)
        if isinstance(due, Transcript):
            await tab.charge_transcript(due)
        elif due is not None:
            await tab.settle(due)
        elif len(heard.under_way) > before:
            tab.begin()
        elif (so_far := heard.so_far()) is not None:
            await tab.keep_ahead(so_far)
        await _give(send, message)
        if isinstance(due, Usage) and tab.attempt is not None:
            await tab.open(tab.attempt)

    async def _watch(self) -> None:
        """Raises NotAuthenticated, Forbidden: the key, its user or its right to the model is gone."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                caller, _ = await self._worker.callers.authenticate(self._head)
            except GatewayError:
                continue  # the database is away: what is said costs nothing until it is back to settle it
            check_model(caller, self._model)

    async def _say_why(self, send: Send, failure: BaseException | None) -> None:
        if failure is None:
            await _close(send, self._line.close_code or 1000)
            return
        if not isinstance(failure, RelayError):
            log.error("session %s failed: %s", self._session_id, type(failure).__name__, exc_info=failure)
            failure = GatewayError("the gateway failed to serve this session", code="internal_error")
        code = POLICY if isinstance(failure, ClientError) else BROKEN
        try:
            await _give(send, error_event(failure, self._session_id))
        except CallerGone:
            return
        await _close(send, code)


def error_event(error: RelayError, session_id: str) -> str:
    """An error in the form of the API's own events."""
    told: dict[str, Any] = {"param": None, "code": None, **error.body(session_id)["error"], "event_id": None}
    return orjson.dumps({"type": "error", "event_id": f"event_{session_id}", "error": told}).decode()


async def _give(send: Send, message: str | bytes) -> None:
    kind = "text" if isinstance(message, str) else "bytes"
    try:
        await send({"type": "websocket.send", kind: message})
    except OSError as error:
        raise CallerGone from error


async def _close(send: Send, code: int) -> None:
    try:
        await send({"type": "websocket.close", "code": code})
    except (OSError, RuntimeError):
        return  # it has closed meanwhile
