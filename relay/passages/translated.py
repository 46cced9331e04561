"""Caller and upstream speak different dialects: request and answer are made anew, by way of the neutral form."""

from __future__ import annotations

import asyncio

import orjson

from relay.adapters.base import Adapter, Job, UpstreamAnswer
from relay.dialects.base import Dialect, Writer
from relay.errors import BadRequest, RelayError, UpstreamError
from relay.neutral.events import Counted, Event, Failed, Pictures, Started, fold
from relay.neutral.request import Chat, Request, Text
from relay.outside import Outside
from relay.passages.base import Flow, Headers, Passage
from relay.passages.events import note
from relay.passages.names import Names
from relay.types import Attempt, Call, Generated

JSON: Headers = [(b"content-type", b"application/json; charset=utf-8")]


class Translated(Passage):
    def __init__(self, outside: Outside, adapter: Adapter, dialect: Dialect, call: Call, attempt: Attempt) -> None:
        """Raises BadRequest: the request cannot be understood. UpstreamError: the upstream has nothing like it."""
        self._outside = outside
        self._adapter = adapter
        self._dialect = dialect
        self._call = call
        self._attempt = attempt
        request = _adapted(dialect.neutral(call), attempt)
        if not isinstance(request, adapter.requests):
            name = attempt.route.provider.name
            raise UpstreamError(f"{name} channels do not serve {call.mode}", status=400, code="unsupported_mode")
        self._names = Names(request, adapter.longest_name, adapter.name_form)
        self._job = Job(attempt.route, attempt.model, call.model, request, call.headers)

    async def open(self) -> UpstreamAnswer:
        await self._outside.with_media(self._job.request, self._adapter)
        self._attempt.sent = True  # from here on the request may have reached the upstream
        try:
            return await self._adapter.open(self._job, self._outside)
        except asyncio.CancelledError:
            self._attempt.sent = not self._outside.exchanging
            raise
        except orjson.JSONEncodeError as error:
            raise BadRequest("the request is nested too deeply for this channel's upstream") from error
        except BadRequest as told:
            # What one protocol has no place for another's channel may do; if none can, the caller is told the same.
            raise UpstreamError(
                told.message, status=told.status, code=told.code, kind=told.kind, param=told.param
            ) from told

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        return self._adapter.failure(status, body, retry_after)

    def streams(self, answer: UpstreamAnswer) -> bool:
        return True  # a reader also knows the documents by which its upstream refuses a stream

    def flow(self) -> Flow:
        return TranslatedFlow(self._adapter, self._dialect, self._job, self._call, self._names)

    def whole(self, answer: UpstreamAnswer, body: bytes) -> tuple[Generated, bytes, Headers]:
        generated = Generated(finished=True)
        read = self._adapter.read(self._job, body)
        if not isinstance(read, list):
            generated.usage = read.usage
            if isinstance(read, Pictures):
                generated.pictures = len(read.pictures)
            return generated, self._dialect.whole(self._call, read), JSON
        for event in read:
            note(generated, event)
        if generated.error is not None:
            raise generated.error
        return generated, self._dialect.whole(self._call, fold(map(self._names.restored, read))), JSON


def _adapted(request: Request, attempt: Attempt) -> Request:
    """With the channel's system prompt, and no more to generate than was held."""
    if isinstance(request, Chat):
        if attempt.route.system_prompt:
            request.system = [Text(attempt.route.system_prompt)]
        most = attempt.max_tokens
        if most is not None:
            request.max_tokens = min(request.max_tokens or most, most)
    return request


class TranslatedFlow:
    ends_at_error = True

    def __init__(self, adapter: Adapter, dialect: Dialect, job: Job, call: Call, names: Names) -> None:
        self._names = names
        self._reader = adapter.reader(job)
        self._writer: Writer = dialect.writer(call)
        self._held_back = b""  # a beginning alone is not sent: an answer that has begun cannot be tried elsewhere
        self._begun = False
        self.generated = Generated()
        self.headers: Headers = [
            (b"content-type", dialect.content_type(call).encode()),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
        ]

    def feed(self, chunk: bytes) -> bytes:
        events = self._reader.feed(chunk)
        self.generated.done = self._reader.over
        return self._written(events)

    def last(self) -> bytes:
        return self._written(self._reader.close())

    def _written(self, events: list[Event]) -> bytes:
        written = b""
        for event in events:
            if self.generated.error is not None:
                break
            note(self.generated, event)
            if isinstance(event, Failed):
                break
            written += self._writer.write(self._names.restored(event))
            self._begun = self._begun or not isinstance(event, Started | Counted)
        if not self._begun:
            self._held_back += written
            return b""
        written, self._held_back = self._held_back + written, b""
        return written

    def ending(self) -> bytes:
        if self.generated.error is not None:
            raise self.generated.error
        return self._writer.end()

    def fail(self, error: RelayError, request_id: str) -> bytes:
        return self._writer.fail(error, request_id)
