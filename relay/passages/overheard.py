"""A dialect other than OpenAI's to upstreams that speak the same one: bytes pass, the protocol's reader listens."""

from __future__ import annotations

from relay.adapters.base import Adapter, Job, UpstreamAnswer
from relay.dialects.base import Dialect
from relay.errors import RelayError, UpstreamError
from relay.neutral.events import Counted, Event, Started
from relay.outside import Outside
from relay.passages.base import Flow, Headers, Passage
from relay.passages.events import note
from relay.passages.framing import ArrayFraming, EventFraming, Framing
from relay.types import Attempt, Call, Generated, Usage
from relay.upstream_errors import bytes_without_key


class Overheard(Passage):
    def __init__(self, outside: Outside, adapter: Adapter, dialect: Dialect, call: Call, attempt: Attempt) -> None:
        """Raises BadRequest."""
        self._outside = outside
        self._adapter = adapter
        self._dialect = dialect
        self._call = call
        self._attempt = attempt
        request = dialect.listened(call)
        self._job = Job(attempt.route, attempt.model, call.model, request, call.headers)

    async def open(self) -> UpstreamAnswer:
        call = self._call
        url, headers = self._adapter.native(self._job, call.path, call.query)
        names = {name.lower() for name, _ in headers}
        if "content-type" not in names:
            headers = [*headers, ("Content-Type", "application/json")]
        if "accept" not in names:
            headers = [*headers, ("Accept", "text/event-stream" if call.stream else "application/json")]
        body = self._dialect.native_body(call, self._attempt)
        return await self._outside.opened("POST", url, headers, body, self._attempt)

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        return self._adapter.failure(status, body, retry_after)

    def streams(self, answer: UpstreamAnswer) -> bool:
        return True

    def flow(self) -> Flow:
        return OverheardFlow(self._adapter, self._dialect, self._job, self._call)

    def whole(self, answer: UpstreamAnswer, body: bytes) -> tuple[Generated, bytes, Headers]:
        generated = Generated(finished=True)
        headers: Headers = [(b"content-type", b"application/json")]
        try:
            read = self._adapter.read(self._job, body)
        except UpstreamError as error:
            if error.retry:
                raise
            generated.usage = Usage(0, 0)
            # It refuses what was asked, in the caller's own form; that costs nothing.
            return generated, bytes_without_key(body, self._attempt.route.key), headers
        if isinstance(read, list):
            for event in read:
                note(generated, event)
                _note_id(generated, event, self._dialect, self._call)
        else:
            generated.usage = read.usage
        if generated.error is not None:
            raise generated.error
        return generated, body, headers


class OverheardFlow:
    ends_at_error = False

    def __init__(self, adapter: Adapter, dialect: Dialect, job: Job, call: Call) -> None:
        self._reader = adapter.reader(job)
        self._dialect = dialect
        self._call = call
        self._key = job.route.key
        kind = dialect.content_type(call)
        self._framing: Framing = EventFraming() if kind.startswith("text/event-stream") else ArrayFraming()
        # A beginning alone, for an answer that has begun cannot be tried elsewhere; or the end, until all is paid.
        self._held_back = b""
        self._begun = False
        self._error_told = False  # the upstream's own error event has been passed on
        self.generated = Generated()
        self.headers: Headers = [
            (b"content-type", kind.encode()),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
        ]

    def feed(self, chunk: bytes) -> bytes:
        for event in self._reader.feed(chunk):
            note(self.generated, event)
            _note_id(self.generated, event, self._dialect, self._call)
            self._begun = self._begun or not isinstance(event, Started | Counted)
        self._error_told = self.generated.error is not None
        self.generated.done = self._reader.over
        whole = self._framing.feed(chunk)
        if not self._begun or (self.generated.done and self.generated.error is None):
            self._held_back += whole
            return b""
        shown, self._held_back = self._held_back + whole, b""
        return bytes_without_key(shown, self._key) if self._error_told else shown

    def last(self) -> bytes:
        for event in self._reader.close():
            note(self.generated, event)
            self._begun = self._begun or not isinstance(event, Started | Counted)
        if not self._begun or self.generated.error is not None:
            return b""
        rest, self._held_back = self._held_back + self._framing.end(), b""
        if self.generated.finished:
            self._held_back = rest
            return b""
        return rest

    def ending(self) -> bytes:
        if self.generated.error is not None and not self._error_told:
            raise self.generated.error
        return self._held_back

    def fail(self, error: RelayError, request_id: str) -> bytes:
        return self._framing.fail(self._dialect.writer(self._call).fail(error, request_id))


def _note_id(generated: Generated, event: Event, dialect: Dialect, call: Call) -> None:
    if isinstance(event, Started) and dialect.keeps(call):
        generated.kept_as = event.id
