"""What most protocols of JSON over HTTP have in common beside the shapes of their JSON."""

from __future__ import annotations

from typing import Any

import orjson

from relay.adapters.base import Job, Outgoing
from relay.errors import BadRequest, UpstreamError
from relay.neutral.request import Chat, Media, Request
from relay.upstream_errors import normalise

Json = dict[str, Any]

RELABELLED = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}


def posted(job: Job, path: str, document: Json, *, stream: bool = False, scheme: str = "Bearer") -> Outgoing:
    """A JSON document for `path` below the channel's address, with its key as the credential."""
    headers = [("Content-Type", "application/json"), *job.route.provider.headers.items()]
    if job.route.key:
        headers.insert(0, ("Authorization", f"{scheme} {job.route.key}"))
    headers.append(("Accept", "text/event-stream" if stream else "application/json"))
    return Outgoing("POST", job.route.base_url + path, headers, orjson.dumps(document))


def chat_of(request: Request, name: str) -> Chat:
    """The conversation, of which the protocol can make one answer only. Raises BadRequest."""
    if not isinstance(request, Chat):
        raise BadRequest(f"{name} serves no such request")
    if request.n is not None and request.n > 1:
        raise BadRequest(f"n must be 1: {name} makes one answer a request")
    return request


def texts_of(inputs: list[str | list[int]], name: str) -> list[str]:
    """What is to be embedded. Raises BadRequest for lists of token ids, whose tokenizer nobody knows here."""
    if any(not isinstance(item, str) for item in inputs):
        raise BadRequest(f"input must be text: {name} takes no token ids")
    return [item for item in inputs if isinstance(item, str)]


def stops_of(chat: Chat, most: int, name: str) -> list[str]:
    """What ends an answer. Raises BadRequest for more than `most`: which of them can be left out nobody knows here."""
    if len(chat.stop) > most:
        limit = f"takes at most {most} {'sequence' if most == 1 else 'sequences'}" if most else "ends at no sequence"
        raise BadRequest(f"stop: {name} {limit}")
    return chat.stop


def mime_of(media: Media) -> str:
    """Its type without parameters, by the name that is registered; "" where none is given."""
    mime = media.mime.partition(";")[0].strip().lower()
    return RELABELLED.get(mime, mime)


def bytes_of(media: Media) -> str:
    """Base64. Raises BadRequest: there are none, since nobody could fetch its address."""
    if not media.data:
        raise BadRequest(f"the {media.kind} could not be fetched")
    return media.data


def reported(
    status: int, message: str, code: Any = None, kind: str | None = None, retry_after: float | None = None
) -> UpstreamError:
    """An error told inside a 200 or a stream, with the status it would have had."""
    error = {"message": message or "the upstream reported an error", "type": kind, "code": code}
    return normalise(status, orjson.dumps({"error": error}), retry_after)
