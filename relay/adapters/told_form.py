"""The form of the answer told in words, for protocols that have no member for it."""

from __future__ import annotations

from dataclasses import replace

import orjson

from relay.adapters.anthropic.request import JSON_ONLY
from relay.neutral.request import Chat, Text


def with_form_told(chat: Chat) -> Chat:
    """The chat with its `output` as one instruction more; what comes back is as good as the model."""
    asked = chat.output
    if asked is None or asked.kind == "text":
        return chat
    told = JSON_ONLY
    if asked.kind == "schema":
        told += f" It has to match this JSON schema: {orjson.dumps(asked.schema or {}).decode()}"
    return replace(chat, system=[*chat.system, Text(told)])
