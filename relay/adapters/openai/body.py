"""The body of an OpenAI request as an upstream gets it: the caller's bytes, with as few members changed as possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from relay import multipart, splice
from relay.adapters.openai.reasoning import reasons
from relay.types import Attempt, Call, Mode

STREAMS_WITH_USAGE = frozenset({Mode.CHAT, Mode.COMPLETIONS})


def asks_usage(call: Call, attempt: Attempt, enforce: bool) -> bool:
    """Whether we have to ask the upstream for a stream's usage on the caller's behalf (relay contract, 8.4)."""
    if not call.stream or call.mode not in STREAMS_WITH_USAGE or call.shows_usage:
        return False
    route = attempt.route
    return enforce or (route.provider.stream_usage and not route.refuses_stream_options)


def encode(call: Call, attempt: Attempt) -> bytes:
    """The caller's bytes, untouched when nothing has to change."""
    if call.form is not None:
        if attempt.model == call.model:
            return call.body
        return multipart.replace(call.body, call.form, "model", attempt.model)
    changes = _changes(call, attempt)
    body = splice.replace(call.body, call.document, changes) if changes else call.body
    provider = attempt.route.provider
    unwanted = [name for name in (*provider.refuses, *provider.renames) if name in call.document]
    return _without(body, unwanted, provider.renames) if unwanted else body


def _changes(call: Call, attempt: Attempt) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    document = call.document
    if attempt.model != call.model:
        changes["model"] = attempt.model
    if attempt.asks_usage:
        changes["stream_options"] = {**(document.get("stream_options") or {}), "include_usage": True}
    if attempt.max_tokens is not None:
        changes |= _maxima(call, attempt, attempt.max_tokens)
    if attempt.route.system_prompt and call.mode is Mode.CHAT:
        changes["messages"] = _with_system_prompt(call, attempt.route.system_prompt)
    return changes


def _maxima(call: Call, attempt: Attempt, most: int) -> dict[str, int]:
    """Every maximum the caller named, lowered: which of two an upstream obeys is not ours to know."""
    named = {
        name: min(value, most)
        for name in ("max_completion_tokens", "max_tokens")
        if (value := call.document.get(name))  # a 0 limits nothing
    }
    return named or {"max_completion_tokens" if reasons(attempt.model) else "max_tokens": most}


def _with_system_prompt(call: Call, prompt: str) -> orjson.Fragment:
    """The channel's prompt in place of a leading system message, else in front (relay contract, 8.3).

    All else in the messages keeps its bytes.
    """
    body = call.body
    start, end = next((start, end) for name, start, end in splice.members(body) if name == "messages")
    begin, after = splice.first_item(body, start)
    first = call.document["messages"][0]
    if first.get("role") == "system":
        changed = splice.replace(body[begin:after], first, {"content": prompt})
    else:
        changed = orjson.dumps({"role": "system", "content": prompt}) + b"," + body[begin:after]
    whole = memoryview(body)
    return orjson.Fragment(b"".join([whole[start:begin], changed, whole[after:end]]))


def _without(body: bytes, unwanted: list[str], renames: Mapping[str, str]) -> bytes:
    """Take out members the provider answers with an error, and give others the name it knows them by.

    Of two that come to the same name the renamed one stays: no member may stand twice.
    """
    taken = {renames[name] for name in unwanted if name in renames}
    kept = [
        b"%b:%b" % (orjson.dumps(renames.get(name, name)), body[start:end])
        for name, start, end in splice.members(body)
        if name in renames or (name not in unwanted and name not in taken)
    ]
    return b"{" + b",".join(kept) + b"}"
