"""Replicate: chat and pictures as predictions, which are created and then watched.

https://replicate.com/docs/reference/http, https://replicate.com/docs/topics/predictions/streaming; relay contract of
providers, 3.17. A model is "owner/name", or "owner/name:version" for a community's model.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from urllib.parse import urlsplit

import orjson

from relay.adapters.base import Adapter, Chat, Images, Job, Outgoing, Outside, Read, Reader, UpstreamAnswer
from relay.adapters.replicate.answer import PredictionReader, as_stream, outputs, read_chat, read_images
from relay.adapters.replicate.cancelling import Cancelling, cancel
from relay.adapters.replicate.request import chat_input, image_input
from relay.adapters.shape import Json, chunk, mapping, text
from relay.adapters.usual import posted
from relay.adapters.whole_answer import WholeAnswer
from relay.errors import BadRequest, UpstreamError, UpstreamTimeout
from relay.neutral.request import Media

PAUSE = 1.0  # seconds between two looks at a prediction
PATIENCE = 600  # looks, until a prediction is given up
LIFETIME = "10m"  # of a prediction that is waited for: as long as it is looked at
LARGEST = 16 * 1024 * 1024  # bytes of a prediction
RUNNING = frozenset({"starting", "processing"})
_MODEL = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(:(?P<version>[\w.-]+))?")
_ID = re.compile(r"[\w-]+")


class Replicate(Adapter):
    requests = (Chat, Images)

    def takes_url(self, url: str) -> bool:
        return url.startswith(("https://", "http://"))

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        """The creation of the prediction; a plain request waits up to a minute for its end."""
        named = _MODEL.fullmatch(job.model)
        if named is None or ".." in job.model:
            raise BadRequest("a model of Replicate is owner/name or owner/name:version")
        body: Json = {"input": image_input(job.request) if isinstance(job.request, Images) else chat_input(job.request)}
        path = f"/v1/models/{named['name']}/predictions"
        if named["version"]:
            body, path = {"version": named["version"], **body}, "/v1/predictions"
        outgoing = posted(job, "", body)
        outgoing.url = _root(job) + path
        if _streams(job):
            body["stream"] = True
            outgoing.body = orjson.dumps(body)
        else:
            # Who leaves while that lasts has not learnt the prediction's name; it does not run for ever then either.
            outgoing.headers += [("Prefer", "wait"), ("Cancel-After", LIFETIME)]
        return outgoing

    async def open(self, job: Job, outside: Outside) -> UpstreamAnswer:
        """The stream of a prediction, or the prediction when it has ended."""
        status, body = await outside.fetch_json(await self.prepare(job, outside), LARGEST)
        if status not in (200, 201, 202):
            return WholeAnswer(status, body)
        prediction = chunk(body)
        address = text(mapping(prediction.get("urls")).get("stream"))
        if _streams(job) and address:
            return await _stream(job, outside, prediction, address)
        status, prediction = await _ended(job, outside, status, prediction)
        if status not in (200, 201, 202):
            return WholeAnswer(status, orjson.dumps(prediction))
        if isinstance(job.request, Images) and job.request.encoding == "b64_json":
            prediction["output"] = [await _fetched(outside, picture) for picture in outputs(prediction)]
        return WholeAnswer(200, as_stream(prediction) if _streams(job) else orjson.dumps(prediction))

    def read(self, job: Job, body: bytes) -> Read:
        return read_images(body) if isinstance(job.request, Images) else read_chat(body)

    def reader(self, job: Job) -> Reader:
        return PredictionReader()


def _streams(job: Job) -> bool:
    return isinstance(job.request, Chat) and job.request.stream


def _root(job: Job) -> str:
    """The channel's address as the contract has it ends in the path of models."""
    return job.route.base_url.removesuffix("/models").removesuffix("/v1")


async def _stream(job: Job, outside: Outside, prediction: Json, address: str) -> UpstreamAnswer:
    """The key goes to the channel's own host only: streams have addresses that are secret themselves."""
    give_up = partial(cancel, outside, _address(job, prediction), job.route.key)
    target, own = urlsplit(address), urlsplit(job.route.base_url)
    if target.scheme != "https" and target.netloc != own.netloc:
        give_up()
        raise UpstreamError("the upstream named a stream that cannot be read", code="bad_response")
    headers = [("Accept", "text/event-stream"), ("Cache-Control", "no-store")]
    if (target.scheme, target.netloc) == (own.scheme, own.netloc):
        headers.append(("Authorization", "Bearer " + job.route.key))
    answer = outside.send(Outgoing("GET", address, headers, b""))
    opened = False
    try:
        await answer.open()
        opened = True
    finally:
        if not opened:
            give_up()
    return Cancelling(answer, give_up)


def _address(job: Job, prediction: Json) -> str:
    """Where a prediction is asked for. Raises UpstreamError: it has no name to ask for."""
    name = text(prediction.get("id"))
    if not _ID.fullmatch(name):
        raise UpstreamError("the upstream's prediction has no id", code="bad_response")
    return f"{_root(job)}/v1/predictions/{name}"


async def _ended(job: Job, outside: Outside, status: int, prediction: Json) -> tuple[int, Json]:
    """Look at a prediction until it has ended. Raises UpstreamTimeout; UpstreamError: it has no name to ask for.

    Whatever else ends the waiting cancels it.
    """
    if prediction.get("status") not in RUNNING:
        return status, prediction
    address = _address(job, prediction)
    headers = [("Authorization", "Bearer " + job.route.key), ("Accept", "application/json")]
    running = True
    try:
        for _ in range(PATIENCE):
            await asyncio.sleep(PAUSE)
            status, body = await outside.fetch_json(Outgoing("GET", address, headers, b""), LARGEST)
            prediction = chunk(body)
            if prediction.get("status") not in RUNNING:
                running = False
                return status, prediction
        raise UpstreamTimeout("the upstream's prediction did not end in time")
    finally:
        if running:
            cancel(outside, address, job.route.key)


async def _fetched(outside: Outside, address: str) -> str:
    """A picture as a data URL."""
    if address.startswith("data:"):
        return address
    try:
        media = await outside.media(Media("image", url=address))
    except BadRequest as error:
        raise UpstreamError("the upstream's picture could not be fetched", code="bad_response") from error
    return f"data:{media.mime or 'image/png'};base64,{media.data}"
