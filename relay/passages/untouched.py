"""OpenAI's dialect to upstreams that speak it: the caller's bytes, with as few members changed as possible."""

from __future__ import annotations

import logging

from django.db import DatabaseError, InterfaceError

from channels_app import services as channels
from relay import reading, sse
from relay.adapters.base import UpstreamAnswer
from relay.adapters.openai import body as openai_body
from relay.adapters.openai.channels import OpenAI
from relay.charging import TRANSCRIPTS
from relay.errors import RelayError, UpstreamError
from relay.lifeline import Lifeline
from relay.passages.base import Flow, Headers, Passage
from relay.threads import in_database_thread
from relay.types import Attempt, Call, Generated, Mode
from relay.upstream import Answer, Clients
from relay.upstream_errors import ERROR_LIMIT, bytes_without_key, normalise

log = logging.getLogger(__name__)

PASSED_ON = frozenset({b"content-type", b"openai-processing-ms", b"openai-version", b"content-disposition"})
EVENT_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
DONE = b"data: [DONE]\n\n"


class Untouched(Passage):
    def __init__(
        self, clients: Clients, adapter: OpenAI, call: Call, attempt: Attempt, lifeline: Lifeline, *, always_usage: bool
    ) -> None:
        """`always_usage`: ENFORCE_INCLUDE_USAGE, whatever is known about the upstream."""
        self._clients = clients
        self._adapter = adapter
        self._call = call
        self._attempt = attempt
        self._lifeline = lifeline
        self._hides_usage = not (call.shows_usage or always_usage)
        attempt.asks_usage = openai_body.asks_usage(call, attempt, always_usage)

    async def open(self) -> UpstreamAnswer:
        call, attempt = self._call, self._attempt
        route = attempt.route
        url = self._adapter.url(route, call.mode, call.path, call.query, attempt.model)
        headers = self._adapter.headers(route)
        headers.append(("Content-Type", call.content_type))
        headers.append(("Accept", call.accept or ("text/event-stream" if call.stream else "application/json")))
        answer = self._clients.send("POST", url, headers, openai_body.encode(call, attempt), proxy=route.proxy)
        try:
            await answer.open()
        finally:
            attempt.sent = attempt.sent or answer.sent
        return answer

    async def second_try(self, answer: UpstreamAnswer) -> UpstreamAnswer:
        """A 400 that names the member we added: perhaps the upstream does not know it. Ask again without.

        Remembered only when that helps: what else a caller wrote there may be what was refused.
        """
        attempt = self._attempt
        if answer.status != 400 or not attempt.asks_usage:
            return answer
        async with self._lifeline.interruptible():
            body = await answer.read(ERROR_LIMIT)
        pause = answer.retry_after
        answer.close()
        if b"stream_options" not in body and b"include_usage" not in body:
            raise normalise(400, body, pause)
        attempt.asks_usage = False
        async with self._lifeline.interruptible():
            again = await self.open()
        try:
            if again.status in (200, 201):
                await remember_refusal(attempt.route.channel_id)
        except BaseException:
            again.close()
            raise
        return again

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        return normalise(status, body, retry_after)

    def streams(self, answer: UpstreamAnswer) -> bool:
        kind = answer.header("content-type").lower()
        if kind.startswith("application/json"):
            return False
        return kind.startswith("text/event-stream") or self._call.mode in openai_body.STREAMS_WITH_USAGE

    def flow(self) -> Flow:
        return UntouchedFlow(self._call, self._hides_usage, self._attempt.route.key)

    def whole(self, answer: UpstreamAnswer, body: bytes) -> tuple[Generated, bytes, Headers]:
        assert isinstance(answer, Answer)
        call = self._call
        if call.mode is Mode.SPEECH:
            generated = Generated(finished=True)
        elif call.mode in TRANSCRIPTS:
            generated = reading.transcript(call, body)
        else:
            generated = reading.read_json(call, body)
        if call.stream and call.mode in openai_body.STREAMS_WITH_USAGE:
            raise UpstreamError("the upstream answered a stream request without a stream", code="bad_response")
        return generated, body, [header for header in answer.headers if header[0] in PASSED_ON]


class UntouchedFlow:
    headers = EVENT_STREAM
    ends_at_error = False

    def __init__(self, call: Call, hides_usage: bool, key: str) -> None:
        self._call = call
        self._key = key
        self._parser = sse.Parser()
        self._reader = reading.StreamReader(hides_usage)
        self._comments = b""  # that came before the first event: they must not begin an answer that may yet fail
        self._begun = False
        self._ends_itself = call.mode not in openai_body.STREAMS_WITH_USAGE  # by an event that says so, not by [DONE]
        self._end = b""  # kept until all is paid
        self.generated = self._reader.generated

    def feed(self, chunk: bytes) -> bytes:
        return self._but_the_end(self._read(chunk))

    def _but_the_end(self, shown: bytes) -> bytes:
        if self.generated.error is not None:
            shown = bytes_without_key(shown, self._key)
        if shown and self._ends_itself and self.generated.finished:
            shown, self._end = self._end, shown
        return shown

    def _read(self, chunk: bytes) -> bytes:
        payloads = self._parser.plain(chunk) if self._begun else None
        if payloads is None:
            return self._shown(self._parser.feed(chunk))
        hidden = [data for data in payloads if not self._reader.feed(data)]
        if not hidden:
            return chunk
        return b"".join(b"data: %b\n\n" % data for data in payloads if data not in hidden)

    def last(self) -> bytes:
        left = self._parser.close()
        if left is None or left.data is None:
            return b""
        return self._but_the_end(self._shown([sse.Event(left.raw.rstrip(b"\r\n") + b"\n\n", left.data)]))

    def _shown(self, events: list[sse.Event]) -> bytes:
        shown = b""
        for event in events:
            if event.data is None:
                if self._begun:
                    shown += event.raw
                else:
                    self._comments += event.raw
            elif self._reader.feed(event.data):
                shown += event.raw
        if shown and not self._begun:
            self._begun = True
            shown = self._comments + shown
        return shown

    def ending(self) -> bytes:
        if self.generated.error is not None:
            return self._end  # with its error event, if that was not passed on; a [DONE] would call the answer whole
        if not self.generated.finished:
            raise UpstreamError("the upstream broke off its stream", code="stream_broken")
        # A chat ends with [DONE] even where its provider leaves it out; other streams end as their upstream did.
        return self._end + (DONE if self.generated.done or not self._ends_itself else b"")

    def fail(self, error: RelayError, request_id: str) -> bytes:
        return b"data: " + error.encode(request_id) + b"\n\n"


async def remember_refusal(channel_id: int) -> None:
    """A database that is away costs the next call of this channel a second try, too; this one has its answer."""
    try:
        await in_database_thread(channels.record_refuses_stream_options, channel_id)
    except (DatabaseError, InterfaceError) as error:
        log.warning("channel #%d refuses stream_options, which could not be noted: %s", channel_id, error)
