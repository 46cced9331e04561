"""OpenAI itself: chat completions and responses of a reasoning model.

https://platform.openai.com/docs/guides/reasoning (what such models refuse), /guides/error-codes
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from tests.relay.matrix.scenes import FAILURE, Heard, Json, Refused, Said, need
from tests.relay.matrix.upstreams import chat_completions, responses
from tests.relay.matrix.upstreams.base import Answer, Upstream, addressed, body_of, credential, document, event, path_of
from tests.upstream.wire import Request


class OpenAI(Upstream):
    name = "OpenAI"
    channel_type = 1
    key = "sk-openai"
    models = {None: "gpt-5-mini"}

    def __init__(self) -> None:
        super().__init__()
        self._responses = self._with_usage = False  # of the request at hand; they come one by one

    def hear(self, request: Request) -> Heard:
        credential(request, "authorization", f"Bearer {self.key}")
        self._responses = path_of(request).endswith("/responses")
        addressed(request, "/v1/responses" if self._responses else "/v1/chat/completions")
        body = body_of(request)
        need(body.get("model") == self.models[None], f"no such model: {body.get('model')}")
        return self.request(body)

    def request(self, body: Json) -> Heard:
        if self._responses:
            return responses.hear(body)
        heard = chat_completions.hear(body, *chat_completions.MEMBERS)
        refused = [name for name in chat_completions.REFUSED_BY_REASONING if name in body]
        need(not refused, f"unsupported with this model: {refused}")
        heard.thinks = body.get("reasoning_effort") not in (None, "none")
        self._with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return heard

    def whole(self, heard: Heard, said: Said) -> Answer:
        shape = responses.response if self._responses else chat_completions.answer
        return document(shape(heard, said))

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        if self._responses:
            return responses.stream(heard, said)
        return chat_completions.stream(heard, said, self._with_usage)

    def midway(self) -> bytes:
        if self._responses:
            return responses.midway()
        return event(chat_completions.error(Refused(FAILURE, 500)))

    def refusal(self, refused: Refused) -> Answer:
        return Answer(orjson.dumps(chat_completions.error(refused)))
