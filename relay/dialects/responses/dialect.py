"""OpenAI's Responses API as a client's dialect: POST /v1/responses.

https://platform.openai.com/docs/api-reference/responses. An upstream whose row has the mode gets the caller's bytes;
others get a conversation.
"""

from __future__ import annotations

from typing import Any

import orjson

from relay import splice
from relay.dialects.base import Dialect, Whole
from relay.dialects.responses import count as responses_count
from relay.dialects.responses import request as responses_request
from relay.dialects.responses import writer as responses_writer
from relay.dialects.responses.writer import ResponseWriter
from relay.errors import GatewayError, RelayError
from relay.neutral.events import Answer
from relay.neutral.request import Chat
from relay.types import Attempt, Call, Head, Mode


class ResponsesDialect(Dialect):
    """Of the protocols' providers, only those that list the mode `responses` speak it."""

    name = "responses"
    native = frozenset({"openai", "azure-openai"})

    def read(self, mode: Mode, head: Head, body: bytes, model_in_path: str = "") -> Call:
        return responses_request.read(head, body)

    def neutral(self, call: Call) -> Chat:
        return responses_request.neutral(call.document)

    def keeps(self, call: Call) -> bool:
        return call.document.get("store") is not False  # kept unless it says otherwise

    def native_body(self, call: Call, attempt: Attempt) -> bytes:
        changes: dict[str, Any] = {}
        if attempt.model != call.model:
            changes["model"] = attempt.model
        if attempt.route.system_prompt:
            changes["instructions"] = attempt.route.system_prompt
        if attempt.max_tokens is not None:
            changes["max_output_tokens"] = min(call.max_tokens or attempt.max_tokens, attempt.max_tokens)
        return splice.replace(call.body, call.document, changes) if changes else call.body

    def writer(self, call: Call) -> ResponseWriter:
        return ResponseWriter(call)

    def whole(self, call: Call, answer: Whole) -> bytes:
        if not isinstance(answer, Answer):
            raise GatewayError("the upstream's answer is no response", code="bad_answer")
        return orjson.dumps(responses_writer.response_document(call, answer))

    def prompt_tokens(self, call: Call, model: str, *, rough: bool) -> int:
        return responses_count.count(model, call.document, rough=rough)

    def failure(self, error: RelayError, request_id: str) -> bytes:
        return error.encode(request_id)
