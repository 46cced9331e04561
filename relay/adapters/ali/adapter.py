"""DashScope's own protocol: chats, embeddings and pictures of Ali's Model Studio.

https://help.aliyun.com/en/model-studio/qwen-api-via-dashscope; relay contract of providers, 3.10. Its OpenAI-compatible
interface is another channel type.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import orjson

from relay.adapters.ali.answer import DashScopeReader, failure, read_chat, read_vectors
from relay.adapters.ali.images import (
    AT_ONCE,
    BY_TASK,
    LARGEST,
    TASKS,
    as_data,
    finished_task,
    images_body,
    read_pictures,
)
from relay.adapters.ali.request import NAME, chat_body, embeddings_body, sees
from relay.adapters.base import (
    Adapter,
    Chat,
    Embeddings,
    Images,
    Job,
    Outgoing,
    Outside,
    Read,
    Reader,
    UpstreamAnswer,
)
from relay.adapters.shape import chunk, document, text
from relay.adapters.usual import posted
from relay.adapters.whole_answer import WholeAnswer
from relay.errors import BadRequest, UpstreamError

TEXT = "/api/v1/services/aigc/text-generation/generation"
MULTIMODAL = "/api/v1/services/aigc/multimodal-generation/generation"
EMBEDDINGS = "/api/v1/services/embeddings/text-embedding/text-embedding"


class Ali(Adapter):
    """`sleep` waits between two looks at a task."""

    requests = (Chat, Embeddings, Images)

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.sleep = sleep

    def takes_url(self, url: str) -> bool:
        return not url.startswith("gs://")

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        match job.request:
            case Embeddings():
                return _with_plugin(job, posted(job, EMBEDDINGS, embeddings_body(job.model, job.request)))
            case Images():
                path, body = images_body(job.model, job.request)
                outgoing = posted(job, path, body)
                if path == BY_TASK:
                    outgoing.headers.append(("X-DashScope-Async", "enable"))
                return _with_plugin(job, outgoing)
            case Chat() as chat:
                multimodal = sees(job.model, chat)
                path = MULTIMODAL if multimodal else TEXT
                outgoing = posted(job, path, chat_body(job, chat, multimodal), stream=chat.stream)
                if chat.stream:
                    outgoing.headers.append(("X-DashScope-SSE", "enable"))
                return _with_plugin(job, outgoing)
        raise BadRequest(f"{NAME} serves no such request")

    async def open(self, job: Job, outside: Outside) -> UpstreamAnswer:
        """A picture's answer is complete when its task is, and its bytes are there if they are wanted."""
        request = job.request
        if not isinstance(request, Images):
            return await super().open(job, outside)
        outgoing = await self.prepare(job, outside)
        status, body = await outside.fetch_json(outgoing, LARGEST)
        if status not in (200, 201):
            return WholeAnswer(status, body)
        if not outgoing.url.endswith(AT_ONCE):
            key = [(name, value) for name, value in outgoing.headers if name == "Authorization"]
            look = Outgoing("GET", job.route.base_url + TASKS, key, b"")
            answer = await finished_task(document(body), look, outside, self.sleep)
            body = orjson.dumps(answer)
        if request.encoding == "b64_json":
            body = await as_data(read_pictures(document(body)), outside)
        return WholeAnswer(200, body)

    def read(self, job: Job, body: bytes) -> Read:
        answer = document(body)
        match job.request:
            case Embeddings():
                return read_vectors(answer)
            case Images():
                return read_pictures(answer)
        return read_chat(answer)

    def reader(self, job: Job) -> Reader:
        return DashScopeReader()

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        answer = chunk(body)
        if text(answer.get("code")):
            return failure(answer, status, retry_after)
        return super().failure(status, body, retry_after)


def _with_plugin(job: Job, outgoing: Outgoing) -> Outgoing:
    if plugin := job.route.config.get("plugin"):
        outgoing.headers.append(("X-DashScope-Plugin", plugin))
    return outgoing
