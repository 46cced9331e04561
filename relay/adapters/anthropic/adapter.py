"""Anthropic's Messages API, and servers that speak it.

https://platform.claude.com/docs/en/api/messages, /api/versioning; relay contract of providers, 3.2.
"""

from __future__ import annotations

import orjson

from relay.adapters.anthropic.answer import MessageReader, read_message
from relay.adapters.anthropic.request import SAMPLING, body
from relay.adapters.base import Adapter, Job, Outgoing, Outside, Reader
from relay.neutral.events import Event
from relay.neutral.request import Chat

VERSION = "2023-06-01"
WITHOUT_SAMPLING = "2026-10-21"  # from this version on, sampling parameters are refused even at their defaults
PATH = "/v1/messages"


class Anthropic(Adapter):
    """One stateless instance serves every channel."""

    requests = (Chat,)
    longest_name = 128

    def takes_url(self, url: str) -> bool:
        """It opens https alone (https://platform.claude.com/docs/en/build-with-claude/vision)."""
        return url.startswith("https://")

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        document = body(job)
        headers = self._headers(job)
        if dict(headers)["anthropic-version"] >= WITHOUT_SAMPLING:
            document = {name: value for name, value in document.items() if name not in SAMPLING}
        headers.append(("Accept", "text/event-stream" if document.get("stream") else "application/json"))
        return Outgoing("POST", job.route.base_url + PATH, headers, orjson.dumps(document))

    def read(self, job: Job, body: bytes) -> list[Event]:
        return read_message(body)

    def reader(self, job: Job) -> Reader:
        return MessageReader()

    def native(self, job: Job, path: str, query: str) -> tuple[str, list[tuple[str, str]]]:
        """Also for the counting of tokens, whose address is below that of messages."""
        return job.route.base_url + path + ("?" + query if query else ""), self._headers(job)

    def _headers(self, job: Job) -> list[tuple[str, str]]:
        """Version and betas are the caller's own, where one was named."""
        headers = [
            ("x-api-key", job.route.key),
            ("anthropic-version", job.caller_headers.get("anthropic-version") or VERSION),
            ("Content-Type", "application/json"),
        ]
        if betas := job.caller_headers.get("anthropic-beta"):
            headers.append(("anthropic-beta", betas))
        return [*headers, *job.route.provider.headers.items()]
