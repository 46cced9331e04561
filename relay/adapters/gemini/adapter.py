"""Google's Gemini API: generateContent and batchEmbedContents.

https://ai.google.dev/api/generate-content, /api/embeddings, /gemini-api/docs/api-versions; relay contract of
providers, 3.3. Errors: https://ai.google.dev/gemini-api/docs/troubleshooting.
"""

from __future__ import annotations

import math
import re
from urllib.parse import quote

import orjson

from billing.pricing import Usage
from relay.adapters.base import Adapter, Chat, Embeddings, Job, Outgoing, Outside, Reader
from relay.adapters.gemini.answer import AnswerReader, failure, google_error, read_answer
from relay.adapters.gemini.parts import opens
from relay.adapters.gemini.request import body, embeddings_body, model_path
from relay.adapters.shape import Json, clamped, document, items, mapping
from relay.errors import BadRequest, UpstreamError
from relay.google_options import api_version
from relay.neutral.events import Event, Vectors
from relay.neutral.request import Request

_VERSION = re.compile(r"/(v1(?:alpha|beta\d?)?)/")


class Gemini(Adapter):
    """One stateless instance serves every channel."""

    requests: tuple[type[Request], ...] = (Chat, Embeddings)
    takes_urls = False
    # https://ai.google.dev/api/caching#FunctionDeclaration; that a digit may not be the first, its errors say.
    name_form = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]*")

    def takes_url(self, url: str) -> bool:
        """Its own files, Cloud Storage and videos are named by address; everything else is sent as bytes."""
        return opens(url)

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        if isinstance(job.request, Embeddings):
            return self._outgoing(job, "batchEmbedContents", embeddings_body(job))
        if isinstance(job.request, Chat) and job.request.stream:
            return self._outgoing(job, "streamGenerateContent", body(job))
        return self._outgoing(job, "generateContent", body(job))

    def read(self, job: Job, body: bytes) -> list[Event] | Vectors:
        if isinstance(job.request, Embeddings):
            return read_embeddings(body, len(job.request.inputs))
        return read_answer(body)

    def reader(self, job: Job) -> Reader:
        return AnswerReader(choices_of(job))

    def native(self, job: Job, path: str, query: str) -> tuple[str, list[tuple[str, str]]]:
        """The caller's version and action, under the upstream's name of the model; its key stays here."""
        found = _VERSION.match(path)
        version = job.route.config.get("api_version") or (found[1] if found else api_version())
        kept = "&".join(part for part in query.split("&") if part and part.partition("=")[0] != "key")
        url = self._url(job, version, path.rpartition(":")[2])
        return url + ("?" + kept if kept else ""), self._headers(job)

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        """Proxies in front of Google have errors of other shapes."""
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        if not google_error(answer).get("message"):
            return super().failure(status, body, retry_after)
        return failure(answer, status, retry_after)

    def _outgoing(self, job: Job, action: str, document: Json) -> Outgoing:
        url = self._url(job, job.route.config.get("api_version") or api_version(), action)
        headers = self._headers(job)
        try:
            encoded = orjson.dumps(document)
        except orjson.JSONEncodeError as error:
            raise BadRequest("the request is nested too deeply") from error
        if action == "streamGenerateContent":
            return Outgoing("POST", url + "?alt=sse", [*headers, ("Accept", "text/event-stream")], encoded)
        return Outgoing("POST", url, [*headers, ("Accept", "application/json")], encoded)

    def _url(self, job: Job, version: str, action: str) -> str:
        return f"{job.route.base_url}/{version}/{quote(model_path(job.model), safe='/')}:{action}"

    def _headers(self, job: Job) -> list[tuple[str, str]]:
        return [
            ("x-goog-api-key", job.route.key),
            ("Content-Type", "application/json"),
            *job.route.provider.headers.items(),
        ]


def choices_of(job: Job) -> int:
    """How many answers were asked for."""
    return (job.request.n or 1) if isinstance(job.request, Chat) else 1


def read_embeddings(body: bytes, wanted: int) -> Vectors:
    """`wanted` vectors in the order of the inputs, of batchEmbedContents or embedContent. Raises UpstreamError."""
    answer = document(body)
    if "error" in answer:
        raise failure(answer)
    found = items(answer.get("embeddings")) or items([answer.get("embedding")])
    vectors = [vector(entry.get("values")) for entry in found]
    if len(vectors) != wanted:
        raise UpstreamError(f"the upstream sent {len(vectors)} vectors for {wanted} inputs", code="bad_response")
    prompt = clamped(mapping(answer.get("usageMetadata")).get("promptTokenCount"))
    return Vectors(list(vectors), Usage(prompt, 0) if prompt else None)


def vector(values: object) -> list[float]:
    if not isinstance(values, list) or not all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) for value in values
    ):
        raise UpstreamError("the upstream sent a vector that is none", code="bad_response")
    return [float(value) for value in values]


class Palm(Gemini):
    """PaLM 2's protocol is withdrawn: its channels reach Google's present models through Gemini's.

    https://ai.google.dev/palm_docs/deprecation; relay contract of providers, 3.19. A channel keeps working once its
    models are mapped to Gemini's; under PaLM's own names nobody answers any more.
    """

    requests = (Chat,)

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        name = job.model.lower()
        if "palm" in name or "bison" in name:
            raise BadRequest(
                f"Google has withdrawn {job.model}: map it to a Gemini model in the channel's settings",
                status=410,
                code="model_withdrawn",
            )
        return await super().prepare(job, outside)
