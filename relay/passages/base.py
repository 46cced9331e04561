"""What the pipeline needs of a passage, and of the stream on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from relay.adapters.base import UpstreamAnswer
from relay.errors import RelayError, UpstreamError
from relay.types import Generated

Headers = list[tuple[bytes, bytes]]


class Flow(Protocol):
    """One stream. `generated` is what the bill will be made of, however it ends."""

    generated: Generated
    headers: Headers
    ends_at_error: bool  # nothing is read any more once the upstream has reported an error

    def feed(self, chunk: bytes) -> bytes:
        """What the caller gets to see of these bytes, perhaps nothing. Raises EventTooLong.

        An error that the upstream reports is in `generated.error`, and among the bytes where they are its own.
        """

    def last(self) -> bytes:
        """What was left when the upstream ended. Called once, and not after a failure."""

    def ending(self) -> bytes:
        """What closes a stream that is whole. Raises UpstreamError: the upstream broke it off."""

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """What closes one that is not."""


class Passage(ABC):
    """One attempt's."""

    @abstractmethod
    async def open(self) -> UpstreamAnswer:
        """Send the request; back with the answer's head, its body unread. Raises BadRequest, UpstreamError."""

    async def second_try(self, answer: UpstreamAnswer) -> UpstreamAnswer:
        """Another answer in place of one that refused what the gateway itself had added; the same one otherwise."""
        return answer

    @abstractmethod
    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        """An error answer as ours."""

    @abstractmethod
    def streams(self, answer: UpstreamAnswer) -> bool:
        """Whether the answer to a call for a stream is one."""

    @abstractmethod
    def flow(self) -> Flow:
        """For an answer that `streams`."""

    @abstractmethod
    def whole(self, answer: UpstreamAnswer, body: bytes) -> tuple[Generated, bytes, Headers]:
        """(what it costs, what the caller gets, its headers). Raises UpstreamError: an error inside a 200."""
