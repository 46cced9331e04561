"""OpenAI's protocol for callers of other dialects: a request is built anew, and the answer read into neutral events.

Callers of OpenAI's own dialect do not come here: their bytes are passed on (`relay.adapters.openai.body`). Addresses
and credentials are the same for both (`relay.adapters.openai.channels`).
"""

from __future__ import annotations

import orjson

from relay.adapters.base import Adapter, Job, Outgoing, Outside, Read, Reader
from relay.adapters.openai import answer as openai_answer
from relay.adapters.openai import request as openai_request
from relay.adapters.openai import responses_answer
from relay.adapters.openai.channels import ADAPTERS, OpenAI
from relay.adapters.ranking import rerank_body
from relay.neutral.request import Chat, Embeddings, Images, Media, Part, Request, Rerank, ToolResult
from relay.types import Mode

PATHS: dict[type[Request], tuple[Mode, str]] = {
    Chat: (Mode.CHAT, "/v1/chat/completions"),
    Embeddings: (Mode.EMBEDDINGS, "/v1/embeddings"),
    Images: (Mode.IMAGES, "/v1/images/generations"),
    Rerank: (Mode.RERANK, "/v1/rerank"),
}
RANKING = ("max_chunks_per_doc", "max_tokens_per_doc", "overlap_tokens", "instruction", "instruct", "rank_fields")
# By the path of a caller's own request, for bytes that are passed on.
MODES = {path: mode for mode, path in PATHS.values()} | {
    "/v1/completions": Mode.COMPLETIONS,
    "/v1/responses": Mode.RESPONSES,
}


class OpenAIProtocol(Adapter):
    """`channels` knows the addresses and headers of the protocol's channels."""

    requests: tuple[type[Request], ...] = (Chat, Embeddings, Images, Rerank)

    def __init__(self, channels: OpenAI) -> None:
        self._channels = channels

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        mode, path = PATHS[type(job.request)]
        url = self._channels.url(job.route, mode, path, "", job.model)
        stream = False
        match job.request:
            case Chat() as chat:
                await _fetch(chat, outside)
                body, stream = openai_request.chat_body(job.route, job.model, chat), chat.stream
            case Embeddings() as embeddings:
                body = openai_request.embeddings_body(job.route, job.model, embeddings)
            case Images() as images:
                body = openai_request.images_body(job.route, job.model, images)
            case Rerank() as ranking:
                body = rerank_body(job.model, ranking, RANKING)
            case _:
                raise TypeError(f"{type(job.request).__name__} is not among this protocol's requests")
        headers = [
            *self._channels.headers(job.route),
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream" if stream else "application/json"),
        ]
        return Outgoing("POST", url, headers, orjson.dumps(body))

    def read(self, job: Job, body: bytes) -> Read:
        match job.request:
            case Embeddings():
                return openai_answer.read_embeddings(body)
            case Images():
                return openai_answer.read_images(body)
            case Rerank():
                return openai_answer.read_rerank(body)
        return openai_answer.read_chat(body)

    def reader(self, job: Job) -> Reader:
        return openai_answer.ChatReader()

    def native(self, job: Job, path: str, query: str) -> tuple[str, list[tuple[str, str]]]:
        mode = MODES.get(path) or PATHS[type(job.request)][0]
        return self._channels.url(job.route, mode, path, query, job.model), self._channels.headers(job.route)


class ResponsesProtocol(OpenAIProtocol):
    """The same upstreams where they speak the Responses API: requests of its dialect are passed on, answers heard."""

    def read(self, job: Job, body: bytes) -> Read:
        return responses_answer.read_response(body)

    def reader(self, job: Job) -> Reader:
        return responses_answer.ResponsesReader()


async def _fetch(chat: Chat, outside: Outside) -> None:
    """Sounds and files are taken as data only: theirs are fetched, pictures and videos stay addresses."""

    async def fetched(part: Part) -> Part:
        match part:
            case Media(kind="audio" | "file", data=""):
                return await outside.media(part)
            case ToolResult() if any(isinstance(piece, Media) for piece in part.parts):
                part.parts = [
                    await outside.media(piece)
                    if isinstance(piece, Media) and piece.kind in ("audio", "file") and not piece.data
                    else piece
                    for piece in part.parts
                ]
        return part

    for turn in chat.turns:
        turn.parts = [await fetched(part) for part in turn.parts]


TRANSLATED = {name: OpenAIProtocol(channels) for name, channels in ADAPTERS.items()}
RESPONSES = {name: ResponsesProtocol(channels) for name, channels in ADAPTERS.items()}
