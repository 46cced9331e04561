"""Zhipu's GLM, API v4.

https://docs.bigmodel.cn/api-reference (an answer's format is text or json_object: schemas are not among its members),
https://docs.bigmodel.cn/cn/api/api-code
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import orjson

from tests.relay.matrix.scenes import FAILURE, Heard, Refused, Said, Scene, need
from tests.relay.matrix.upstreams import chat_completions
from tests.relay.matrix.upstreams.base import Answer, Upstream, addressed, body_of, credential, document, event
from tests.upstream.wire import Request

MEMBERS = (
    *("model", "messages", "stream", "max_tokens", "tools", "tool_choice", "response_format", "thinking"),
    *("temperature", "top_p", "do_sample", "stop", "user_id", "request_id", "tool_stream", "stream_options"),
)
CODES = {400: "1210", 401: "1002", 429: "1302", 500: "1230"}


class Zhipu(Upstream):
    name = "Zhipu"
    channel_type = 16
    key = "zhipu-id.zhipu-secret"
    models = {None: "glm-4.6", Scene.PICTURE: "glm-4.5v"}

    def hear(self, request: Request) -> Heard:
        credential(request, "authorization", f"Bearer {self.key}")
        addressed(request, "/api/paas/v4/chat/completions")
        body = body_of(request)
        need(body.get("model") in self.models.values(), f"no such model: {body.get('model')}")
        need(body.get("tool_choice", "auto") == "auto", "tool_choice: auto only")
        need(body.get("response_format", {}).get("type", "text") in ("text", "json_object"), "response_format.type")
        for message in body["messages"]:
            need(message["role"] in ("system", "user", "assistant", "tool"), f"role {message['role']}")
        for tool in body.get("tools", []):
            need(set(tool["function"]) <= {"name", "description", "parameters", "strict"}, "tools.function")
        heard = chat_completions.hear(body, *MEMBERS)
        heard.thinks = heard.shows_thoughts = body.get("thinking", {}).get("type") == "enabled"
        if body.get("response_format", {}).get("type") == "json_object":
            begin = heard.system.find("{")
            heard.schema = json.JSONDecoder().raw_decode(heard.system[begin:])[0] if begin >= 0 else None
        return heard

    def whole(self, heard: Heard, said: Said) -> Answer:
        answer = chat_completions.answer(heard, said)
        del answer["object"]  # which GLM leaves out
        return document({**answer, "request_id": "r1"})

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        return chat_completions.stream_with_usage_at_the_end(heard, said)

    def midway(self) -> bytes:
        return event({"error": {"code": "500", "message": FAILURE}})

    def refusal(self, refused: Refused) -> Answer:
        return Answer(orjson.dumps({"error": {"code": CODES.get(refused.status, "1210"), "message": refused.message}}))
