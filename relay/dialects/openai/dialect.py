"""OpenAI's API as callers speak it: chat, the older completions, embeddings and images.

The reading that every call needs is in `relay.dialects.openai.calls`; what is here serves calls that go to an upstream
of another protocol. https://platform.openai.com/docs/api-reference.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from billing import tokens
from relay.adapters.openai import body as openai_body
from relay.dialects.base import Dialect, Whole
from relay.dialects.openai import calls as openai
from relay.dialects.openai import lists as openai_lists
from relay.dialects.openai import request as openai_request
from relay.dialects.openai import writer as openai_writer
from relay.dialects.openai.writer import ChatWriter
from relay.errors import BadRequest, RelayError
from relay.neutral.events import Answer, Pictures, Vectors
from relay.neutral.request import Json, Request
from relay.types import Attempt, Call, Head, Mode

_REQUESTS: dict[Mode, Callable[[Json], Request]] = {
    Mode.CHAT: openai_request.chat,
    Mode.COMPLETIONS: openai_request.completion,
    Mode.EMBEDDINGS: openai_request.embeddings,
    Mode.IMAGES: openai_request.images,
}


class OpenAIDialect(Dialect):
    name = "openai"
    native = frozenset({"openai", "azure-openai"})

    def read(self, mode: Mode, head: Head, body: bytes, model_in_path: str = "") -> Call:
        return openai.read(mode, head, body, model_in_path)

    def neutral(self, call: Call) -> Request:
        build = _REQUESTS.get(call.mode)
        if build is None:
            raise BadRequest(f"this channel's upstream has nothing like {call.path}", code="unsupported_mode")
        return build(call.document)

    def native_body(self, call: Call, attempt: Attempt) -> bytes:
        return openai_body.encode(call, attempt)

    def writer(self, call: Call) -> ChatWriter:
        return openai_writer.writer(call)

    def whole(self, call: Call, answer: Whole) -> bytes:
        match answer:
            case Answer():
                write = (
                    openai_writer.completion_document if call.mode is Mode.COMPLETIONS else openai_writer.chat_document
                )
                return orjson.dumps(write(call, answer))
            case Vectors():
                return orjson.dumps(openai_lists.embeddings_document(call, answer))
            case Pictures():
                return orjson.dumps(openai_lists.images_document(call, answer))
        raise TypeError(f"{type(answer).__name__} is no answer to a call of this dialect")

    def prompt_tokens(self, call: Call, model: str, *, rough: bool) -> int:
        return tokens.count_prompt(call.mode.value, model, call.document, rough=rough)

    def failure(self, error: RelayError, request_id: str) -> bytes:
        return error.encode(request_id)
