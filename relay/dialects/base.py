"""The interface of a client API: one file each, one stateless instance each.

A dialect reads requests into a `Call`, turns a call into the neutral form, and writes neutral events as answers of its
own shape. Where the chosen upstream speaks the same dialect (`native`), the caller's bytes go through untouched but for
the members `native_body` has to change, and the upstream's answer is only listened to, by its adapter's reader.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from relay.errors import NotFound, RelayError
from relay.neutral.events import Answer, Event, Pictures, Ranked, Vectors
from relay.neutral.request import Chat, Request
from relay.types import Attempt, Call, Head, Mode, Route

Whole = Answer | Vectors | Ranked | Pictures


class Writer(Protocol):
    """Writes one stream in the dialect's own form."""

    def write(self, event: Event) -> bytes:
        """The bytes a caller gets for this event, b"" where its form has no place for it. Never given a `Failed`."""

    def end(self) -> bytes:
        """What closes a whole stream: held-back finish and usage events, `[DONE]` or what stands for it."""

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """The end of a stream that broke: the dialect's error event, and nothing that would call the answer whole."""


class Dialect(ABC):
    """`native`: the protocols (names of providers.toml) whose bytes are this dialect's own."""

    name: str
    native: frozenset[str] = frozenset()
    stream_type = "text/event-stream; charset=utf-8"

    @abstractmethod
    def read(self, mode: Mode, head: Head, body: bytes, model_in_path: str = "") -> Call:
        """The request, checked as far as routing and pricing need. Raises BadRequest."""

    @abstractmethod
    def neutral(self, call: Call) -> Request:
        """The whole request in the neutral form. Raises BadRequest for what cannot be understood."""

    def listened(self, call: Call) -> Request:
        """What a reader has to know of a request whose bytes are passed on: its kind, how many answers to expect."""
        return (
            Chat([], stream=call.stream, n=call.times)
            if call.mode in (Mode.CHAT, Mode.RESPONSES)
            else self.neutral(call)
        )

    def is_native(self, route: Route, mode: Mode) -> bool:
        """Whether the channel's upstream takes such calls as they are."""
        return route.provider.protocol in self.native and mode in route.provider.modes

    def keeps(self, call: Call) -> bool:
        """Whether an upstream that is native will keep the answer, to be gone on from under its id."""
        return False

    @abstractmethod
    def native_body(self, call: Call, attempt: Attempt) -> bytes:
        """The body for an upstream of the same dialect: the caller's bytes but for model, prompt or maximum."""

    @abstractmethod
    def writer(self, call: Call) -> Writer:
        """For one stream. The model shown is `call.model`, the one the caller asked for."""

    @abstractmethod
    def whole(self, call: Call, answer: Whole) -> bytes:
        """The body of an answer that was not streamed."""

    def content_type(self, call: Call) -> str:
        """Of a stream."""
        return self.stream_type

    def prompt_tokens(self, call: Call, model: str, *, rough: bool) -> int:
        """Our own count of the prompt, for upstreams that send none. Blocking; `rough` asks for the size alone."""
        return call.prompt_estimate

    def count(self, call: Call) -> bytes:
        """The answer to a call that asks for the number of its tokens, by our own count. Blocking. Raises NotFound."""
        raise NotFound(f"Invalid URL (POST {call.path})")

    @abstractmethod
    def failure(self, error: RelayError, request_id: str) -> bytes:
        """An error's body in the dialect's own shape; the status is the error's."""
