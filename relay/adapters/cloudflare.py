"""Cloudflare Workers AI, by its endpoints in OpenAI's form, or by an AI Gateway in front of it.

https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/,
https://developers.cloudflare.com/ai-gateway/usage/providers/workersai/; relay contract of providers, 3.15. An older
completion is asked for as a chat of one turn: every model that takes a prompt takes messages too.
"""

from __future__ import annotations

from relay.adapters.base import Job, Read
from relay.adapters.openai.adapter import OpenAIProtocol
from relay.adapters.openai.channels import CLOUDFLARE_GATEWAY, OpenAI
from relay.adapters.shape import chunk, items, mapping, text
from relay.adapters.usual import reported
from relay.errors import UpstreamError
from relay.neutral.request import Chat, Embeddings
from relay.types import Mode, Route


class Channels(OpenAI):
    def url(self, route: Route, mode: Mode, path: str, query: str, model: str) -> str:
        """Raises UpstreamError: the account is not known."""
        if route.base_url.startswith(CLOUDFLARE_GATEWAY) and route.base_url.endswith("/workers-ai"):
            return route.base_url + path
        account = route.config.get("user_id", "")
        if not account.isalnum():
            raise UpstreamError("the channel has no account id", status=503, code="channel_misconfigured")
        return f"{route.base_url}/client/v4/accounts/{account}/ai{path}"


class Cloudflare(OpenAIProtocol):
    requests = (Chat, Embeddings)

    def __init__(self) -> None:
        super().__init__(Channels())

    def read(self, job: Job, body: bytes) -> Read:
        failure = _told(502, body, None)
        if failure is not None:
            raise failure
        return super().read(job, body)

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        return _told(status, body, retry_after) or super().failure(status, body, retry_after)


def _told(status: int, body: bytes, retry_after: float | None) -> UpstreamError | None:
    """{"success": false, "errors": [{"code", "message"}]}, as all of Cloudflare's API tells errors."""
    document = chunk(body)
    errors = items(document.get("errors"))
    if document.get("success") is not False and not errors:
        return None
    first = mapping(errors[0] if errors else None)
    return reported(status, text(first.get("message")), first.get("code"), "cloudflare_error", retry_after)
