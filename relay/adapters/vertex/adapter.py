"""Vertex AI (Google's Agent Platform): Gemini, Claude and the open models that Google serves.

https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference (Gemini),
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (Claude),
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis (the others, in OpenAI's form);
relay contract of providers, 3.4. What speaks which protocol is told by the model's name: "claude-…" Anthropic's,
"publisher/model" OpenAI's, anything else Gemini's. A model of Google's or Anthropic's may be named with its publisher.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from urllib.parse import quote

import orjson

from relay.adapters.anthropic import request as anthropic_request
from relay.adapters.anthropic.answer import MessageReader, read_message
from relay.adapters.base import Adapter, Chat, Embeddings, Job, Outgoing, Outside, Reader, UpstreamAnswer
from relay.adapters.gemini import request as gemini_request
from relay.adapters.gemini.adapter import choices_of
from relay.adapters.gemini.answer import AnswerReader, failure, google_error, read_answer
from relay.adapters.openai import answer as openai_answer
from relay.adapters.openai import request as openai_request
from relay.adapters.shape import Json, text
from relay.adapters.usual import chat_of
from relay.adapters.vertex import embeddings as vertex_embeddings
from relay.adapters.vertex.access import access
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Event, Vectors
from relay.neutral.request import Request

NAME = "Vertex AI"
ANTHROPIC_VERSION = "vertex-2023-10-16"
UNKNOWN_THERE = ("model", "service_tier")  # members of Anthropic's own API
# Betas of Claude there that change what our body means; any name it does not know is answered with 400.
BETAS = frozenset({"context-1m-2025-08-07", "interleaved-thinking-2025-05-14", "context-management-2025-06-27"})


class Publisher(ABC):
    """The protocol of one family of models. `path`: below the project's location."""

    @abstractmethod
    def path(self, model: str, *, stream: bool) -> str: ...

    @abstractmethod
    def body(self, job: Job) -> Json:
        """Raises BadRequest."""

    @abstractmethod
    def read(self, body: bytes) -> list[Event]:
        """Raises UpstreamError."""

    @abstractmethod
    def reader(self, job: Job) -> Reader: ...


class Google(Publisher):
    def path(self, model: str, *, stream: bool) -> str:
        return google_path(model, "streamGenerateContent?alt=sse" if stream else "generateContent")

    def body(self, job: Job) -> Json:
        return gemini_request.body(job)

    def read(self, body: bytes) -> list[Event]:
        return read_answer(body)

    def reader(self, job: Job) -> Reader:
        return AnswerReader(choices_of(job))


class Claude(Publisher):
    def path(self, model: str, *, stream: bool) -> str:
        return f"publishers/anthropic/models/{quote(model, safe='@')}:{'streamRawPredict' if stream else 'rawPredict'}"

    def body(self, job: Job) -> Json:
        document = anthropic_request.body(job)
        kept = {name: value for name, value in document.items() if name not in UNKNOWN_THERE}
        return {"anthropic_version": ANTHROPIC_VERSION, **kept}

    def read(self, body: bytes) -> list[Event]:
        return read_message(body)

    def reader(self, job: Job) -> Reader:
        return MessageReader()


class Open(Publisher):
    """The model stays in the body, with its publisher."""

    def path(self, model: str, *, stream: bool) -> str:
        return "endpoints/openapi/chat/completions"

    def body(self, job: Job) -> Json:
        return openai_request.chat_body(job.route, job.model, chat_of(job.request, NAME))

    def read(self, body: bytes) -> list[Event]:
        return openai_answer.read_chat(body)

    def reader(self, job: Job) -> Reader:
        return openai_answer.ChatReader()


GOOGLE, CLAUDE, OPEN = Google(), Claude(), Open()


class Vertex(Adapter):
    """A token that was refused before its time is exchanged anew, and the request sent once more.

    `clock`: Unix seconds, what an assertion is dated by.
    """

    requests: tuple[type[Request], ...] = (Chat, Embeddings)
    takes_urls = False
    name_form = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*")  # what Gemini and Claude both take

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # How many tokens of a credentials file (by its digest) were refused: `Outside.token` is asked for another then.
        self._refused: dict[str, int] = {}

    def takes_url(self, url: str) -> bool:
        """Cloud Storage is opened there; everything else is sent as bytes, which Claude wants in any case."""
        return url.startswith("gs://")

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        channel = access(job.route)
        model = bare(job.model)
        stream = False
        if isinstance(job.request, Embeddings):
            action, document = vertex_embeddings.question(model, job.request)
            path = google_path(model, action)
        else:
            stream = isinstance(job.request, Chat) and job.request.stream
            spoken = publisher(model)
            path, document = spoken.path(model, stream=stream), spoken.body(job)
        try:
            encoded = orjson.dumps(document)
        except orjson.JSONEncodeError as error:
            raise BadRequest("the request is nested too deeply") from error
        token = await channel.token(outside, self._clock, self._refused.get(channel.digest, 0))
        headers = [
            ("Authorization", f"Bearer {token}"),
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream" if stream else "application/json"),
        ]
        if publisher(model) is CLAUDE and (betas := _known_betas(job)):
            headers.append(("anthropic-beta", betas))
        return Outgoing("POST", channel.address(path), headers, encoded)

    async def open(self, job: Job, outside: Outside) -> UpstreamAnswer:
        digest = access(job.route).digest
        refused = self._refused.get(digest, 0)
        answer = await super().open(job, outside)
        if answer.status != 401:
            return answer
        answer.close()
        if self._refused.get(digest, 0) == refused:  # else another call has done so meanwhile
            self._refused[digest] = refused + 1
        return await super().open(job, outside)

    def read(self, job: Job, body: bytes) -> list[Event] | Vectors:
        model = bare(job.model)
        if isinstance(job.request, Embeddings):
            return vertex_embeddings.answer(model, body, len(job.request.inputs))
        return publisher(model).read(body)

    def reader(self, job: Job) -> Reader:
        return publisher(bare(job.model)).reader(job)

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        """Google's own errors come alone or in a list of one; those of Claude and the open models in their own form."""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            document = None
        if not text(google_error(document).get("message")):
            return super().failure(status, body, retry_after)
        if not google_error(document).get("status"):
            return super().failure(status, orjson.dumps({"error": google_error(document)}), retry_after)
        return failure(document, status, retry_after)


def _known_betas(job: Job) -> str:
    named = [beta.strip() for beta in job.caller_headers.get("anthropic-beta", "").split(",")]
    return ",".join(beta for beta in named if beta in BETAS)


def bare(model: str) -> str:
    """Without the publisher where that is Google or Anthropic, whose models have addresses of their own."""
    return model.removeprefix("google/").removeprefix("anthropic/")


def publisher(model: str) -> Publisher:
    if "/" in model:
        return OPEN
    return CLAUDE if model.startswith("claude") else GOOGLE


def google_path(model: str, action: str) -> str:
    return f"publishers/google/models/{quote(model, safe='@')}:{action}"
