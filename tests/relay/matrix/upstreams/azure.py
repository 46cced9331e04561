"""Azure OpenAI: the same protocol behind deployments, with a key in a header of its own.

https://learn.microsoft.com/azure/ai-services/openai/reference (deployments' API),
https://learn.microsoft.com/azure/ai-services/openai/api-version-lifecycle (v1, where responses are)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from tests.relay.matrix.scenes import Heard, Refused, Said, need
from tests.relay.matrix.upstreams import chat_completions
from tests.relay.matrix.upstreams.base import Answer, addressed, body_of, credential, event, path_of
from tests.relay.matrix.upstreams.openai import OpenAI
from tests.upstream.wire import Request

SAFE = {"hate": {"filtered": False, "severity": "safe"}}


class Azure(OpenAI):
    name = "Azure"
    channel_type = 3
    key = "azure-key"
    models = {None: "gpt-5.1"}
    DEPLOYMENT = "gpt-51"  # whose names hold no dots

    def settings(self) -> Mapping[str, str]:
        return {"api_version": "2024-10-21"}

    def hear(self, request: Request) -> Heard:
        credential(request, "api-key", self.key)
        need("authorization" not in request.headers, "two credentials")
        self._responses = path_of(request).endswith("/responses")
        where = f"/openai/deployments/{self.DEPLOYMENT}/chat/completions?api-version=2024-10-21"
        addressed(request, "/openai/v1/responses" if self._responses else where)
        return self.request(body_of(request))

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        """The first chunk of a chat tells of the prompt's filters and has no choices."""
        if not self._responses:
            prompt = {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}]}
            yield event({**chat_completions.chunk(heard, {}), "id": "", "model": "", "choices": [], **prompt})
        yield from super().pieces(heard, said)

    def refusal(self, refused: Refused) -> Answer:
        """What stands in front of the models names its errors by their statuses."""
        if refused.status in (401, 429):
            return Answer(orjson.dumps({"error": {"code": str(refused.status), "message": refused.message}}))
        return super().refusal(refused)
