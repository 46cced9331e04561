"""AWS Bedrock: Converse and ConverseStream, for the models of every vendor there.

https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html; relay contract of providers, 3.5.
A model is named by the contract's name for it (`model_ids` of the providers' table) or by whatever Bedrock itself
takes: a model id, an inference profile with its prefix (us., eu., apac., global.) or the ARN of either. InvokeModel,
which has another body for each vendor, is not used.
"""

from __future__ import annotations

from urllib.parse import quote

import orjson

from relay.adapters.base import Adapter, Job, Outgoing, Outside, Reader
from relay.adapters.bedrock_answer import ConverseReader, failure, read_answer
from relay.adapters.bedrock_request import body
from relay.adapters.bedrock_signing import access, endpoint
from relay.adapters.shape import chunk, text
from relay.errors import UpstreamError
from relay.neutral.events import Event
from relay.neutral.request import Chat

STREAM_TYPE = "application/vnd.amazon.eventstream"


class Bedrock(Adapter):
    requests = (Chat,)
    takes_urls = False

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        model = job.route.provider.model_ids.get(job.model, job.model)
        document = body(job, model)
        channel = access(job.route)
        stream = isinstance(job.request, Chat) and job.request.stream
        url = (
            f"{endpoint(job.route, channel.region)}/model/{quote(model, safe='')}/converse{'-stream' if stream else ''}"
        )
        headers = [("Content-Type", "application/json"), ("Accept", STREAM_TYPE if stream else "application/json")]
        return channel.authorised(Outgoing("POST", url, headers, orjson.dumps(document)))

    def read(self, job: Job, body: bytes) -> list[Event]:
        return read_answer(body)

    def reader(self, job: Job) -> Reader:
        return ConverseReader()

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        """{"message"} of the service, {"Message"} of what stands in front of it; anything else is read as usual."""
        document = chunk(body)
        message = text(document.get("message")) or text(document.get("Message"))
        if not message:
            return super().failure(status, body, retry_after)
        return failure(status, message, retry_after=retry_after)
