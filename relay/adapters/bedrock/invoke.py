"""Bedrock's InvokeModel and InvokeModelWithResponseStream, whose bodies are each vendor's own.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html and
API_runtime_InvokeModelWithResponseStream.html; relay contract of providers, 3.5. A stream is Amazon's binary one; each
message of it holds one event of the vendor's, in base64.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Protocol

from relay.adapters.anthropic import request as anthropic_request
from relay.adapters.anthropic.answer import Events, read_message
from relay.adapters.base import Job
from relay.adapters.bedrock import llama
from relay.adapters.bedrock.request import NAME, known_betas
from relay.adapters.eventstream import BadFrame
from relay.adapters.shape import Json, chunk, text
from relay.adapters.usual import chat_of
from relay.errors import BadRequest
from relay.neutral.events import Event

ANTHROPIC_VERSION = "bedrock-2023-05-31"
# What Anthropic's own API has and Claude on Bedrock has not, or is told by the address.
# https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
UNKNOWN_THERE = frozenset({"model", "stream", "service_tier", "container", "mcp_servers", "inference_geo", "speed"})


class Inner(Protocol):
    """One answer's events, read one by one. `ended`: the answer was whole, or an error was told."""

    ended: bool

    def read(self, event: Json) -> list[Event]: ...


class Vendor(ABC):
    """The bodies of one family of models."""

    @abstractmethod
    def body(self, job: Job, model: str) -> Json:
        """`model` is Bedrock's id. Raises BadRequest: something the body has no place for."""

    @abstractmethod
    def read(self, body: bytes) -> list[Event]:
        """A whole answer. Raises UpstreamError: it is none."""

    @abstractmethod
    def inner(self) -> Inner: ...


class Claude(Vendor):
    """Anthropic's Messages API; betas are a member of the body."""

    def body(self, job: Job, model: str) -> Json:
        known = model if "claude" in model.lower() else job.asked_model  # an ARN need not tell
        document = anthropic_request.body(replace(job, model=known))
        document = {name: value for name, value in document.items() if name not in UNKNOWN_THERE}
        betas = known_betas(job)
        return {"anthropic_version": ANTHROPIC_VERSION, **document} | ({"anthropic_beta": betas} if betas else {})

    def read(self, body: bytes) -> list[Event]:
        return read_message(body)

    def inner(self) -> Inner:
        return Events()


class Llama(Vendor):
    def body(self, job: Job, model: str) -> Json:
        return llama.body(chat_of(job.request, NAME))

    def read(self, body: bytes) -> list[Event]:
        return llama.read_answer(body)

    def inner(self) -> Inner:
        return llama.Generation()


VENDORS: tuple[tuple[str, Vendor], ...] = (("claude", Claude()), ("llama3", Llama()))


def vendor(*names: str) -> Vendor | None:
    """By the upstream's id, else by the name the caller used; None for families that Converse alone serves here."""
    for name in names:
        for mark, found in VENDORS:
            if mark in name.lower():
                return found
    return None


def body(spoken: Vendor, job: Job, model: str) -> Json:
    """Raises BadRequest. A guardrail that was asked for may not be lost, and this body has no place for one."""
    chat = chat_of(job.request, NAME)
    if chat.extra.get("guardrailConfig"):
        raise BadRequest("guardrailConfig: this channel calls InvokeModel, which takes guardrails of Converse nowhere")
    return spoken.body(job, model)


class Chunks:
    """A stream's messages as what `FrameReader` reads: the vendor's events, unwrapped."""

    def __init__(self, spoken: Vendor) -> None:
        self._inner = spoken.inner()

    @property
    def ended(self) -> bool:
        return self._inner.ended

    @property
    def over(self) -> bool:
        return self._inner.ended

    def read(self, kind: str, event: Json) -> list[Event]:
        """Raises BadFrame: the event cannot be unwrapped."""
        if kind != "chunk" or self.ended:
            return []
        try:
            inner = base64.b64decode(text(event.get("bytes")), validate=True)
        except ValueError as error:
            raise BadFrame("a chunk holds no base64") from error
        return self._inner.read(chunk(inner))
