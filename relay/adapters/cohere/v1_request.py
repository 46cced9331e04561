"""Cohere's chat API v1, for servers that still speak it: requests.

https://docs.cohere.com/v1/reference/chat, /v1/docs/tool-use, /v1/docs/parameter-types-in-tool-use; relay contract of
providers, 3.8. The last say of the user is `message`, everything before it `chat_history`. Tools are described by
parameters with Python's types, calls have no ids, and nothing makes the model call one. The `-internet` names ask for
the connector of web search, which Cohere itself withdrew on 2025-09-15.
"""

from __future__ import annotations

from typing import Any

import orjson

from relay.adapters.shape import Json, mapping, text, texts
from relay.adapters.usual import stops_of
from relay.errors import BadRequest
from relay.neutral.request import (
    Chat,
    Media,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    load_arguments,
    plain_text,
)

NAME = "Cohere's API v1"
ONLINE = "-internet"
MOST_STOPS = 5
PASSED = ("documents", "citation_quality", "prompt_truncation", "safety_mode")  # Cohere's own members of a chat
TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "array": "list", "object": "dict"}


def body(model: str, chat: Chat) -> Json:
    """Raises BadRequest."""
    document: Json = {**_said(chat), "model": model.removesuffix(ONLINE)}
    if model.endswith(ONLINE):
        document["connectors"] = [{"id": "web-search"}]
    if chat.stream:
        document["stream"] = True
    figures = {
        "temperature": chat.temperature,
        "p": None if chat.top_p is None else min(max(chat.top_p, 0.01), 0.99),
        "k": None if chat.top_k is None else min(max(chat.top_k, 0), 500),
        "max_tokens": chat.max_tokens,
        "seed": chat.seed,
        "frequency_penalty": chat.frequency_penalty,
        "presence_penalty": chat.presence_penalty,
        "stop_sequences": stops_of(chat, MOST_STOPS, NAME) or None,
    }
    document |= {name: value for name, value in figures.items() if value is not None}
    document |= _tools(chat)
    if chat.output is not None and chat.output.kind != "text":
        document["response_format"] = {"type": "json_object"}
        if chat.output.kind == "schema":
            document["response_format"]["schema"] = chat.output.schema or {"type": "object"}
    return document | {name: chat.extra[name] for name in PASSED if chat.extra.get(name) is not None}


def _said(chat: Chat) -> Json:
    """The members that hold the conversation. Results of tools without a further word leave `message` empty."""
    turns = _turns(chat.turns)
    if not turns or turns[-1].role != "user":
        raise BadRequest(f"messages: the last one must be the user's, or a tool's, for {NAME}")
    called = {part.id: _call(part) for turn in turns for part in turn.parts if isinstance(part, ToolCall)}
    system = "\n\n".join(part.text for part in chat.system if part.text)
    history: list[Json] = [{"role": "SYSTEM", "message": system}] if system else []
    for turn in turns[:-1]:
        history += [_assistant(turn)] if turn.role == "assistant" else _user(turn, called)
    said: Json = {"message": _text(turns[-1])}
    results = _results(turns[-1], called)
    if results and said["message"]:
        history.append({"role": "TOOL", "tool_results": results})
    elif results:
        said["tool_results"] = results
    return said | ({"chat_history": history} if history else {})


def _turns(turns: list[Turn]) -> list[Turn]:
    """The same, with neighbouring results of tools as one turn: they answer one turn of calls."""
    result: list[Turn] = []
    for turn in turns:
        if result and _only_results(turn) and _only_results(result[-1]):
            result[-1] = Turn("user", [*result[-1].parts, *turn.parts])
        else:
            result.append(turn)
    return result


def _only_results(turn: Turn) -> bool:
    return bool(turn.parts) and all(isinstance(part, ToolResult) for part in turn.parts)


def _user(turn: Turn, called: dict[str, Json]) -> list[Json]:
    results, said = _results(turn, called), _text(turn)
    messages: list[Json] = [{"role": "TOOL", "tool_results": results}] if results else []
    return [*messages, {"role": "USER", "message": said}] if said or not results else messages


def _assistant(turn: Turn) -> Json:
    """The plan before calls is told as thoughts, and comes back as the message that it was."""
    calls = [_call(part) for part in turn.parts if isinstance(part, ToolCall)]
    plan = "".join(part.text for part in turn.parts if isinstance(part, Thought)) if calls else ""
    return {"role": "CHATBOT", "message": _text(turn) or plan} | ({"tool_calls": calls} if calls else {})


def _text(turn: Turn) -> str:
    if any(isinstance(part, Media) for part in turn.parts):
        raise BadRequest(f"{NAME} takes texts only")
    return plain_text(turn.parts)


def _call(call: ToolCall) -> Json:
    return {"name": call.name, "parameters": load_arguments(call.arguments)}


def _results(turn: Turn, called: dict[str, Json]) -> list[Json]:
    """Each with the call it answers, since nothing else tells which that was."""
    results: list[Json] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            if not all(isinstance(inner, Text) for inner in part.parts):
                raise BadRequest(f"{NAME} takes no media as a tool's result")
            call = called.get(part.call_id) or {"name": part.name, "parameters": {}}
            outputs = [{"error" if part.failed else "output": plain_text(part.parts)}]
            results.append({"call": call, "outputs": outputs})
    return results


def _tools(chat: Chat) -> Json:
    choice = chat.tool_choice
    if not chat.tools or (choice is not None and choice.kind == "none"):
        return {}
    if choice is not None and choice.kind != "auto":
        raise BadRequest(f"tool_choice: {NAME} leaves it to the model whether it calls a tool")
    return {"tools": [_tool(tool) for tool in chat.tools]}


def _tool(tool: Tool) -> Json:
    schema = tool.parameters or {}
    required = texts(schema.get("required"))
    described = {
        name: _parameter(mapping(each), required=name in required)
        for name, each in mapping(schema.get("properties")).items()
    }
    return {"name": tool.name, "description": tool.description, "parameter_definitions": described}


def _parameter(schema: Json, *, required: bool) -> Json:
    """A type of Python's; what the type leaves out of the schema is put in words."""
    kind = TYPES.get(_kind(schema.get("type")), "str")
    described = text(schema.get("description"))
    if beyond := {name: value for name, value in schema.items() if name not in ("type", "description")}:
        told = f"JSON schema: {orjson.dumps(beyond).decode()}"
        described = f"{described} ({told})" if described else told
    return {"type": kind, "required": required} | ({"description": described} if described else {})


def _kind(said: Any) -> str:
    """The first type of several but null."""
    several = texts(said) if isinstance(said, list) else [text(said)]
    return next((kind for kind in several if kind != "null"), "")
