"""Neutral conversations as Spark's first and only message, and the version of Spark that a model's name means.

https://www.xfyun.cn/doc/spark/Web.html; relay contract of providers, 3.13.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from relay.adapters.told_form import with_form_told
from relay.errors import BadRequest
from relay.neutral.request import Chat, Json, Media, Part, Text, ToolCall, ToolResult, Turn, plain_text

NAME = "Spark's protocol"
VERSIONS = {
    "Spark-Lite": "v1.1",
    "Spark-Pro": "v3.1",
    "Spark-Pro-128K": "v3.1-128K",
    "Spark-Max": "v3.5",
    "Spark-Max-32K": "v3.5-32K",
    "Spark-4.0-Ultra": "v4.0",
}
DEFAULT_VERSION = "v1.1"
DOMAINS = {
    "v1.1": "lite",
    "v2.1": "generalv2",
    "v3.1": "generalv3",
    "v3.1-128K": "pro-128k",
    "v3.5": "generalv3.5",
    "v3.5-32K": "max-32k",
    "v4.0": "4.0Ultra",
}
PATHS = {"v3.1-128K": "/chat/pro-128k", "v3.5-32K": "/chat/max-32k"}
LONGEST_UID = 32


def version_of(model: str, config: Mapping[str, str]) -> str:
    """By the model's name, else by what follows its first hyphen, else the channel's own (`api_version`)."""
    return VERSIONS.get(model) or model.partition("-")[2] or config.get("api_version") or DEFAULT_VERSION


def path_of(version: str) -> str:
    return PATHS.get(version) or f"/{version}/chat"


def message(app_id: str, version: str, chat: Chat) -> Json:
    """Raises BadRequest. There is no `top_p` among its members: it is dropped."""
    if chat.stop:
        raise BadRequest(f"stop: {NAME} ends an answer at no sequence of the caller's")
    header = {"app_id": app_id} | ({"uid": chat.user[:LONGEST_UID]} if chat.user else {})
    figures: Json = {
        "domain": DOMAINS.get(version) or f"general{version}",
        "temperature": None if chat.temperature is None else min(max(chat.temperature, 0.01), 1.0),
        "top_k": None if chat.top_k is None else min(max(chat.top_k, 1), 6),
        "max_tokens": chat.max_tokens,
    }
    payload: Json = {"message": {"text": _messages(with_form_told(chat))}}
    if functions := _functions(chat):
        payload["functions"] = {"text": functions}
    parameters = {name: value for name, value in figures.items() if value is not None}
    return {"header": header, "parameter": {"chat": parameters}, "payload": payload}


def _functions(chat: Chat) -> list[Json]:
    choice = chat.tool_choice
    if choice is not None and choice.kind in ("required", "named"):
        raise BadRequest(f"tool_choice: {NAME} cannot require a tool")
    if choice is not None and choice.kind == "none":
        return []
    return [
        {
            "name": tool.name,
            "description": tool.description or tool.name,
            "parameters": tool.parameters or {"type": "object", "properties": {}},
        }
        for tool in chat.tools
    ]


def _messages(chat: Chat) -> list[Json]:
    system = "\n".join(part.text for part in chat.system if part.text)
    messages: list[Json] = [{"role": "system", "content": system}] if system else []
    for turn in chat.turns:
        content = _assistant(turn) if turn.role == "assistant" else _user(turn)
        messages.append({"role": turn.role, "content": content})
    return messages


def _assistant(turn: Turn) -> str:
    """The protocol has no place for earlier calls: they are told as text, in the form the model writes them."""
    calls = [part for part in turn.parts if isinstance(part, ToolCall)]
    told = [orjson.dumps({"name": call.name, "arguments": call.arguments}).decode() for call in calls]
    return "\n".join([said for said in (_text(turn.parts),) if said] + told)


def _user(turn: Turn) -> str:
    """Nor for a tool's result, which is told by the user."""
    told = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            if any(isinstance(piece, Media) for piece in part.parts):
                raise BadRequest(f"{NAME} takes texts only")
            told.append(f"{part.name}: {plain_text(part.parts)}" if part.name else plain_text(part.parts))
    return "\n".join(told + [said for said in (_text(turn.parts),) if said])


def _text(parts: list[Part]) -> str:
    if any(isinstance(part, Media) for part in parts):
        raise BadRequest(f"{NAME} takes texts only")
    return "".join(part.text for part in parts if isinstance(part, Text))
