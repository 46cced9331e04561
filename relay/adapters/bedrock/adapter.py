"""AWS Bedrock: Converse and ConverseStream, for the models of every vendor there, or InvokeModel where that is wanted.

https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html; relay contract of providers, 3.5.
A model is named by the contract's name for it (`model_ids` of the providers' table) or by whatever Bedrock itself
takes: a model id, an inference profile with its prefix (us., eu., apac., global.) or the ARN of either. A channel whose
`api_version` is "invoke" calls InvokeModel for the families whose bodies are known here (`invoke`, `llama`).
"""

from __future__ import annotations

from urllib.parse import quote

import orjson

from relay.adapters.base import Adapter, Job, Outgoing, Outside, Reader
from relay.adapters.bedrock import invoke
from relay.adapters.bedrock.answer import Events, FrameReader, failure, read_answer
from relay.adapters.bedrock.request import body
from relay.adapters.bedrock.signing import access, endpoint
from relay.adapters.shape import chunk, text
from relay.errors import UpstreamError
from relay.neutral.events import Event
from relay.neutral.request import Chat

STREAM_TYPE = "application/vnd.amazon.eventstream"
INVOKE = "invoke"  # the `api_version` of channels that want InvokeModel
# Paths below a model's, by: InvokeModel or not, a stream or not.
ACTIONS = {
    (False, False): "converse",
    (False, True): "converse-stream",
    (True, False): "invoke",
    (True, True): "invoke-with-response-stream",
}


class Bedrock(Adapter):
    requests = (Chat,)
    takes_urls = False

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        model = _model(job)
        spoken = _invoked(job)
        document = body(job, model) if spoken is None else invoke.body(spoken, job, model)
        channel = access(job.route)
        stream = isinstance(job.request, Chat) and job.request.stream
        action = ACTIONS[spoken is not None, stream]
        url = f"{endpoint(job.route, channel.region)}/model/{quote(model, safe='')}/{action}"
        headers = [("Content-Type", "application/json"), ("Accept", STREAM_TYPE if stream else "application/json")]
        return channel.authorised(Outgoing("POST", url, headers, orjson.dumps(document)))

    def read(self, job: Job, body: bytes) -> list[Event]:
        spoken = _invoked(job)
        return read_answer(body) if spoken is None else spoken.read(body)

    def reader(self, job: Job) -> Reader:
        spoken = _invoked(job)
        return FrameReader(Events() if spoken is None else invoke.Chunks(spoken))

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        """{"message"} of the service, {"Message"} of what stands in front of it; anything else is read as usual."""
        document = chunk(body)
        message = text(document.get("message")) or text(document.get("Message"))
        if not message:
            return super().failure(status, body, retry_after)
        return failure(status, message, retry_after=retry_after)


def _model(job: Job) -> str:
    return job.route.provider.model_ids.get(job.model, job.model)


def _invoked(job: Job) -> invoke.Vendor | None:
    """Whose body an invocation has; None: the channel, or the model's family, is served by Converse."""
    if job.route.config.get("api_version") != INVOKE:
        return None
    return invoke.vendor(_model(job), job.asked_model)
