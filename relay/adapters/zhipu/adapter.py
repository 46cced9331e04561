"""Zhipu's GLM models (API v4), their embeddings and pictures; the withdrawn models of API v3 are in `v3`.

https://docs.bigmodel.cn/api-reference, https://docs.z.ai/api-reference; relay contract of providers, 3.9. A key
"ID.SECRET" goes as it is: v4 takes it as a bearer, and the token that v3 wants is made of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import orjson

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
from relay.adapters.fetched_pictures import with_data
from relay.adapters.openai import answer as openai_answer
from relay.adapters.usual import chat_of, posted
from relay.adapters.whole_answer import WholeAnswer
from relay.adapters.zhipu import v3 as zhipu_v3
from relay.adapters.zhipu.errors import explained
from relay.adapters.zhipu.request import NAME, chat_body, embeddings_body, images_body
from relay.errors import UpstreamError
from relay.neutral.events import Event, Failed, Pictures
from relay.sse import MAX_EVENT

CHAT = "/api/paas/v4/chat/completions"
EMBEDDINGS = "/api/paas/v4/embeddings"
IMAGES = "/api/paas/v4/images/generations"


class Zhipu(Adapter):
    """`clock`: Unix seconds."""

    requests = (Chat, Embeddings, Images)

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        match job.request:
            case Embeddings():
                return posted(job, EMBEDDINGS, embeddings_body(job, job.request))
            case Images():
                return posted(job, IMAGES, images_body(job, job.request))
        chat = chat_of(job.request, NAME)
        if _is_v3(job):
            return zhipu_v3.outgoing(job, chat, self.clock())
        return posted(job, CHAT, chat_body(job, chat), stream=chat.stream)

    async def open(self, job: Job, outside: Outside) -> UpstreamAnswer:
        """Pictures come as addresses only; who wants their bytes gets them all the same."""
        answer = await super().open(job, outside)
        request = job.request
        if not isinstance(request, Images) or request.encoding != "b64_json" or answer.status not in (200, 201):
            return answer
        try:
            pictures = await with_data(self._pictures(await answer.read(MAX_EVENT)), outside)
        finally:
            answer.close()
        data = [{"b64_json": picture.data} for picture in pictures.pictures]
        return WholeAnswer(200, orjson.dumps({"created": pictures.created, "data": data}))

    def read(self, job: Job, body: bytes) -> Read:
        if isinstance(job.request, Images):
            return self._pictures(body)
        if _is_v3(job):
            return zhipu_v3.read_chat(body)
        try:
            if isinstance(job.request, Embeddings):
                return openai_answer.read_embeddings(body)
            return openai_answer.read_chat(body)
        except UpstreamError as error:
            raise explained(error, with_status=True) from None

    @staticmethod
    def _pictures(body: bytes) -> Pictures:
        try:
            return openai_answer.read_images(body)
        except UpstreamError as error:
            raise explained(error, with_status=True) from None

    def reader(self, job: Job) -> Reader:
        return zhipu_v3.V3Reader() if _is_v3(job) else GlmReader()

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        return explained(super().failure(status, body, retry_after), with_status=False)


def _is_v3(job: Job) -> bool:
    return isinstance(job.request, Chat) and job.model.startswith(zhipu_v3.WITHDRAWN)


class GlmReader(openai_answer.ChatReader):
    def payload(self, data: bytes) -> list[Event]:
        events = super().payload(data)
        for event in events:
            if isinstance(event, Failed):
                explained(event.error, with_status=True)
        return events
