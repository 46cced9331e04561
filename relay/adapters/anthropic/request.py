"""A neutral conversation as the body of Anthropic's Messages API.

https://platform.claude.com/docs/en/api/messages; relay contract of providers, 3.2. The body is that of version
2023-06-01. Clouds that serve the same body under other addresses take `body` and add or remove what they name
elsewhere (`model`, `stream`, `anthropic_version`).
"""

from __future__ import annotations

import orjson

from relay.adapters.anthropic.blocks import assistant_block, user_block
from relay.adapters.anthropic.models import Traits, most_tokens, traits
from relay.adapters.anthropic.schema import closed
from relay.adapters.anthropic.thinking import think
from relay.adapters.base import Job
from relay.errors import BadRequest
from relay.neutral.request import Chat, Json, Text, ToolResult, Turn, joined

# A maximum is mandatory upstream. A stream's hold grows with it, so one without a maximum may be as long as the model
# writes; a whole answer's does not, and so much is enough for it and for a model of which nothing is known.
DEFAULT_MAX_TOKENS = 8192
# Anthropic's own members an OpenAI client may send along; they mean nothing to other upstreams.
PASSED = ("cache_control", "container", "mcp_servers", "context_management", "inference_geo", "speed")
SERVICE_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
SAMPLING = frozenset({"temperature", "top_p", "top_k"})
CHOICES = {"auto": "auto", "required": "any", "named": "tool", "none": "none"}
JSON_ONLY = "Answer with one valid JSON object and with nothing else."


def body(job: Job) -> Json:
    """Raises BadRequest: something that Anthropic's models cannot be given or asked for."""
    chat = job.request
    if not isinstance(chat, Chat):
        raise BadRequest("Anthropic's protocol serves chat only")
    if chat.n is not None and chat.n > 1:
        raise BadRequest("n must be 1: Anthropic's protocol makes one answer a request")
    having = traits(job.model)
    turns = joined(chat.turns)
    document: Json = {"model": job.model, "max_tokens": chat.max_tokens or _usual_maximum(job.model, chat.stream)}
    system = _system(chat, having)
    if system:
        document["system"] = system
    document["messages"] = _messages(turns, having.signs)
    if chat.stream:
        document["stream"] = True
    stops = [stop for stop in chat.stop if stop.strip()]
    if stops:
        document["stop_sequences"] = stops
    if chat.user:
        document["metadata"] = {"user_id": chat.user}
    document |= _tools(chat, having)
    document |= think(chat, having, document["max_tokens"], "tool_choice" in document and _forced(chat), turns)
    if document.get("thinking", {}).get("type") == "enabled" and chat.max_tokens is None:
        document |= _with_budget(document, most_tokens(job.model))
    document |= _sampling(chat, having, "thinking" in document)
    if chat.output is not None and chat.output.kind == "schema" and having.schemas:
        schema = closed(chat.output.schema or {"type": "object"})
        document.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}
    for name in PASSED:
        if chat.extra.get(name) is not None:
            document[name] = chat.extra[name]
    tier = chat.extra.get("service_tier")
    if isinstance(tier, str) and tier in SERVICE_TIERS:
        document["service_tier"] = SERVICE_TIERS[tier]
    return document


def _usual_maximum(model: str, stream: bool) -> int:
    most = most_tokens(model) or DEFAULT_MAX_TOKENS
    return most if stream else min(most, DEFAULT_MAX_TOKENS)


def _with_budget(document: Json, most: int) -> Json:
    """Room for the thoughts on top of the answer's, as far as the model goes. `most` 0: nobody knows how far."""
    budget = document["thinking"]["budget_tokens"]
    maximum = document["max_tokens"] + budget
    maximum = min(maximum, most) if most else maximum
    thinking = {**document["thinking"], "budget_tokens": min(budget, maximum - 1)}
    return {"max_tokens": maximum, "thinking": thinking}


def _system(chat: Chat, having: Traits) -> str | list[Json]:
    """One text; blocks only where one of them carries a cache mark."""
    texts = [text for text in chat.system if text.text.strip()]
    asked = chat.output
    if asked is not None and asked.kind == "json":
        texts.append(Text(JSON_ONLY))
    elif asked is not None and asked.kind == "schema" and not having.schemas:
        texts.append(Text(f"{JSON_ONLY} It has to match this JSON schema: {orjson.dumps(asked.schema or {}).decode()}"))
    if any(text.cache for text in texts):
        return [user_block(text) for text in texts]
    return "\n".join(text.text for text in texts)


def _messages(turns: list[Turn], signs: bool) -> list[Json]:
    """Blocks turn by turn. Tool results lead their message; blank texts are refused upstream and left out."""
    messages: list[Json] = []
    for turn in turns:
        parts = [part for part in turn.parts if not (isinstance(part, Text) and not part.text.strip())]
        parts.sort(key=lambda part: not isinstance(part, ToolResult))
        made = [user_block(part) if turn.role == "user" else assistant_block(part, signs) for part in parts]
        blocks = [block for block in made if block]
        if blocks:
            messages.append({"role": turn.role, "content": blocks})
    if not messages:
        raise BadRequest("messages: at least one message of a user or an assistant is required")
    last = messages[-1]
    if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
        # A final assistant message is gone on with, and may not end in white space.
        last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()
    return messages


def _tools(chat: Chat, having: Traits) -> Json:
    """A choice without tools is refused upstream, so it goes only with them; models without schemas refuse `strict`."""
    if not chat.tools:
        return {}
    tools = []
    for tool in chat.tools:
        made: Json = {"name": tool.name}
        if tool.description:
            made["description"] = tool.description
        parameters = tool.parameters or {"type": "object", "properties": {}}
        strict = tool.strict if having.schemas else None
        made["input_schema"] = closed(parameters) if strict else parameters
        if strict is not None:
            made["strict"] = strict
        if tool.cache:
            made["cache_control"] = tool.cache
        tools.append(made)
    single = chat.parallel_tools is False
    choice: Json = {}
    if chat.tool_choice is not None or single:
        kind = chat.tool_choice.kind if chat.tool_choice is not None else "auto"
        choice = {"type": CHOICES[kind]}
        if chat.tool_choice is not None and kind == "named":
            choice["name"] = chat.tool_choice.name
        if single and kind != "none":
            choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice} if choice else {"tools": tools}


def _forced(chat: Chat) -> bool:
    return chat.tool_choice is not None and chat.tool_choice.kind in ("required", "named")


def _sampling(chat: Chat, having: Traits, thinks: bool) -> Json:
    """What the model takes of the sampling parameters, beside thinking less than without it."""
    if not having.sampling:
        return {}
    chosen: Json = {}
    if chat.temperature is not None and (not thinks or chat.temperature == 1):
        chosen["temperature"] = min(max(chat.temperature, 0), 1)  # OpenAI's scale ends at 2
    if (
        chat.top_p is not None
        and (having.both or "temperature" not in chosen)
        and (not thinks or 0.95 <= chat.top_p <= 1)
    ):
        chosen["top_p"] = chat.top_p
    if chat.top_k is not None and not thinks:
        chosen["top_k"] = chat.top_k
    return chosen
