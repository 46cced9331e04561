"""Which way an attempt takes: what the caller speaks, and what the channel's upstream does."""

from __future__ import annotations

from collections.abc import Mapping

from relay.adapters.base import Adapter
from relay.adapters.openai.adapter import RESPONSES
from relay.adapters.openai.channels import ADAPTERS as OPENAI_ADAPTERS
from relay.adapters.registry import ADAPTERS
from relay.dialects.base import Dialect
from relay.dialects.openai.dialect import OpenAIDialect
from relay.errors import UpstreamError
from relay.lifeline import Lifeline
from relay.outside import Outside
from relay.passages.base import Passage
from relay.passages.overheard import Overheard
from relay.passages.translated import Translated
from relay.passages.untouched import Untouched
from relay.types import Attempt, Call
from relay.worker import Worker

# A protocol's usual adapter listens, but for dialects that are a second language of their upstreams.
LISTENERS: Mapping[str, Mapping[str, Adapter]] = {"responses": RESPONSES}


def find(worker: Worker, dialect: Dialect, call: Call, attempt: Attempt, lifeline: Lifeline) -> Passage:
    """Raises BadRequest, UpstreamError: this channel cannot serve such a call; another may."""
    route = attempt.route
    protocol = route.provider.protocol
    if type(dialect) is OpenAIDialect and (channels := OPENAI_ADAPTERS.get(protocol)) is not None:
        return Untouched(worker.clients, channels, call, attempt, lifeline, always_usage=worker.limits.always_usage)
    outside = Outside(worker.clients, worker.credentials, worker.contents, route.proxy)
    if dialect.is_native(route, call.mode):
        return Overheard(outside, LISTENERS.get(dialect.name, ADAPTERS)[protocol], dialect, call, attempt)
    adapter = ADAPTERS.get(protocol)
    if adapter is None:
        raise UpstreamError(f"{route.provider.name} channels serve no such calls", status=400, code="unsupported_mode")
    return Translated(outside, adapter, dialect, call, attempt)
