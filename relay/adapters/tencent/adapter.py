"""Tencent Hunyuan's own protocol: a cloud API 3.0 with signed requests.

https://cloud.tencent.com/document/api/1729/105701 (chat), /102832 (embeddings); relay contract of providers, 3.12.
A key without "|" is one of Hunyuan's OpenAI-compatible interface (https://cloud.tencent.com/document/product/1729/111007),
which is used for it instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import orjson

from relay.adapters import channel_keys
from relay.adapters.base import Adapter, Chat, Embeddings, Job, Outgoing, Outside, Read, Reader
from relay.adapters.openai.adapter import TRANSLATED
from relay.adapters.shape import document
from relay.adapters.tencent.answer import HunyuanReader, error_in, read_chat, read_vectors
from relay.adapters.tencent.request import NAME, chat_body
from relay.adapters.tencent.signing import CONTENT_TYPE, authorization, host_of
from relay.adapters.usual import chat_of, texts_of
from relay.errors import UpstreamError

VERSION = "2023-09-01"
KEY_FORM = "AppId|SecretId|SecretKey"
COMPATIBLE = "https://api.hunyuan.cloud.tencent.com"


class Tencent(Adapter):
    """`clock`: Unix seconds; a signature is good for five minutes."""

    requests = (Chat, Embeddings)

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._compatible = TRANSLATED["openai"]

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        if _is_compatible(job):
            return await self._compatible.prepare(_redirected(job), outside)
        if isinstance(job.request, Embeddings):
            return self._signed(job, "GetEmbedding", {"InputList": texts_of(job.request.inputs, NAME)}, False)
        chat = chat_of(job.request, NAME)
        return self._signed(job, "ChatCompletions", chat_body(job.model, chat), chat.stream)

    def _signed(self, job: Job, action: str, members: dict[str, object], stream: bool) -> Outgoing:
        _, secret_id, secret_key = channel_keys.parts(job.route.key, KEY_FORM)
        body, timestamp = orjson.dumps(members), int(self.clock())
        signature = authorization(secret_id, secret_key, host_of(job.route.base_url), action, body, timestamp)
        headers = [
            ("Authorization", signature),
            ("Content-Type", CONTENT_TYPE),
            ("X-TC-Action", action),
            ("X-TC-Version", VERSION),
            ("X-TC-Timestamp", str(timestamp)),
            ("Accept", "text/event-stream" if stream else "application/json"),
        ]
        return Outgoing("POST", job.route.base_url + "/", headers, body)

    def read(self, job: Job, body: bytes) -> Read:
        if _is_compatible(job):
            return self._compatible.read(job, body)
        answer = document(body)
        return read_vectors(answer) if isinstance(job.request, Embeddings) else read_chat(answer)

    def reader(self, job: Job) -> Reader:
        return self._compatible.reader(job) if _is_compatible(job) else HunyuanReader()

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        error = super().failure(status, body, retry_after)
        try:
            told = error_in(document(body))
        except UpstreamError:
            return error
        if told is not None:
            error.message, error.code, error.kind = told.message, told.code, told.kind
        return error


def _is_compatible(job: Job) -> bool:
    return "|" not in job.route.key


def _redirected(job: Job) -> Job:
    """To the compatible interface, unless the operator named an address of his own."""
    route = job.route
    if route.base_url == route.provider.base_url:
        route = replace(route, base_url=COMPATIBLE)
    return replace(job, route=route)
