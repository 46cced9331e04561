"""iFlytek's Spark over a WebSocket: a signed address, one message out, frames until the one with status 2.

https://www.xfyun.cn/doc/spark/Web.html; relay contract of providers, 3.13. There is no other form than the stream: a
whole answer is its frames together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import quote

import orjson

from billing.pricing import Usage
from relay.adapters import channel_keys
from relay.adapters.base import Adapter, Chat, Job, LinesReader, Outgoing, Outside, Reader, UpstreamAnswer
from relay.adapters.shape import Json, chunk, clamped, items, mapping, number, text
from relay.adapters.usual import chat_of, reported
from relay.adapters.vendor_errors import XUNFEI
from relay.adapters.xunfei.request import NAME, message, path_of, version_of
from relay.adapters.xunfei.signing import signed_url
from relay.errors import UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Counted,
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextPiece,
    ThoughtPiece,
    new_id,
)
from relay.websocket import converse

KEY_FORM = "APPID|APISecret|APIKey"
ADDRESS = "wss://spark-api.xf-yun.com"
LAST = 2  # status of the last frame


class Xunfei(Adapter):
    """`clock`: Unix seconds. `converse` makes the WebSocket: (url, message, the channel's proxy, is_last)."""

    requests = (Chat,)

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        converse: Callable[[str, bytes, str, Callable[[bytes], bool]], UpstreamAnswer] = converse,
    ) -> None:
        self.clock = clock
        self.converse = converse

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        """The handshake, with the message as its body."""
        chat = chat_of(job.request, NAME)
        app_id, secret, key = channel_keys.parts(job.route.key, KEY_FORM)
        version = version_of(job.model, job.route.config)
        base = job.route.base_url or ADDRESS
        if base.startswith("http"):
            base = "ws" + base.removeprefix("http")
        url = signed_url(base + quote(path_of(version)), key, secret, self.clock())
        headers = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
        return Outgoing("GET", url, headers, orjson.dumps(message(app_id, version, chat)))

    async def open(self, job: Job, outside: Outside) -> UpstreamAnswer:
        outgoing = await self.prepare(job, outside)
        answer = self.converse(outgoing.url, outgoing.body, job.route.proxy, is_last)
        try:
            await answer.open()
        except BaseException:  # a caller who leaves cancels the handshake, and nobody else knows this socket
            answer.close()
            raise
        return answer

    def read(self, job: Job, body: bytes) -> list[Event]:
        reader = SparkReader()
        events = [*reader.feed(body), *reader.close()]
        for event in events:
            if isinstance(event, Failed):
                raise event.error
        return events

    def reader(self, job: Job) -> Reader:
        return SparkReader()


def is_last(data: bytes) -> bool:
    """Whether no frame follows this one."""
    frame = chunk(data)
    choices = mapping(mapping(frame.get("payload")).get("choices"))
    return number(choices.get("status")) == LAST or number(mapping(frame.get("header")).get("code")) != 0


class SparkReader(LinesReader):
    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._calls = 0

    def line(self, data: bytes) -> list[Event]:
        if self.ended:
            return []
        frame = chunk(data)
        header = mapping(frame.get("header"))
        if code := number(header.get("code")):
            self.ended = True
            return [Failed(_failure(code, text(header.get("message"))))]
        payload = mapping(frame.get("payload"))
        choices = mapping(payload.get("choices"))
        events: list[Event] = []
        if choices and not self._started:
            self._started = True
            events.append(Started(text(header.get("sid"))))
        for said in items(choices.get("text")):
            events += self._said(said)
        if number(choices.get("status")) == LAST:
            self.ended = True
            events.append(Finished(FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP))
        usage = mapping(mapping(payload.get("usage")).get("text"))
        prompt, completion = clamped(usage.get("prompt_tokens")), clamped(usage.get("completion_tokens"))
        return [*events, Counted(Usage(prompt, completion))] if prompt or completion else events

    def _said(self, said: Json) -> list[Event]:
        events: list[Event] = []
        if thought := text(said.get("reasoning_content")):
            events.append(ThoughtPiece(thought))
        if content := text(said.get("content")):
            events.append(TextPiece(content))
        call = mapping(said.get("function_call"))
        if name := text(call.get("name")):
            events.append(CallStarted(self._calls, new_id("call_"), name))
            events.append(CallPiece(self._calls, text(call.get("arguments")) or "{}"))
            self._calls += 1
        return events


def _failure(code: int, message: str) -> UpstreamError:
    return reported(XUNFEI.get(code, 502), message, code, "xunfei_error")
