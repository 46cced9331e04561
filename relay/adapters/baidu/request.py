"""Neutral conversations as bodies of Baidu's Wenxin workshop (v1).

https://cloud.baidu.com/doc/WENXINWORKSHOP/s/clntwmv7t; relay contract of providers, 3.11. The model is part of the
address. User and assistant take turns, a turn calls one function at most, and there is no system text beside functions.
"""

from __future__ import annotations

from relay.adapters.forced_tool import forced_tool
from relay.adapters.told_form import with_form_told
from relay.adapters.usual import stops_of
from relay.errors import BadRequest
from relay.neutral.request import (
    Chat,
    Json,
    Media,
    Part,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    joined,
    plain_text,
)

NAME = "Wenxin's protocol"
MOST_STOPS = 4
OWN = ("disable_search", "enable_citation", "enable_trace")  # its own members of a chat


def chat_body(chat: Chat) -> Json:
    """Raises BadRequest."""
    chat = with_form_told(chat)
    functions = _functions(chat)
    system = "\n".join(part.text for part in chat.system if part.text)
    messages = _messages(joined(chat.turns))
    if system and functions:
        _prepend(system, messages)
        system = ""
    body: Json = {"messages": messages}
    if system:
        body["system"] = system
    if chat.temperature is not None:
        body["temperature"] = min(max(chat.temperature, 0.01), 1.0)
    if chat.top_p is not None:
        body["top_p"] = min(max(chat.top_p, 0.0), 1.0)
    if chat.frequency_penalty is not None:
        # OpenAI's runs from -2 to 2 around 0; this one from 1, which is none, to 2.
        body["penalty_score"] = min(1 + max(0.0, chat.frequency_penalty) / 2, 2.0)
    if chat.max_tokens is not None:
        body["max_output_tokens"] = max(chat.max_tokens, 2)
    if stops := stops_of(chat, MOST_STOPS, NAME):
        body["stop"] = stops
    if chat.user:
        body["user_id"] = chat.user
    if chat.output is not None and chat.output.kind != "text":
        body["response_format"] = "json_object"
    if chat.stream:
        body["stream"] = True
    body |= {name: chat.extra[name] for name in OWN if chat.extra.get(name) is not None}
    return body | functions


def _functions(chat: Chat) -> Json:
    forced = forced_tool(chat, NAME)
    if not chat.tools or (chat.tool_choice is not None and chat.tool_choice.kind == "none"):
        return {}
    members: Json = {"functions": [_function(tool) for tool in chat.tools]}
    if forced is not None:
        members["tool_choice"] = {"type": "function", "function": {"name": forced.name}}
    return members


def _function(tool: Tool) -> Json:
    return {
        "name": tool.name,
        "description": tool.description or tool.name,  # it must have one
        "parameters": tool.parameters or {"type": "object", "properties": {}},
    }


def _prepend(system: str, messages: list[Json]) -> None:
    first = next((message for message in messages if message["role"] == "user"), None)
    if first is None:
        messages.insert(0, {"role": "user", "content": system})
    else:
        first["content"] = f"{system}\n\n{first['content']}"


def _messages(turns: list[Turn]) -> list[Json]:
    """Several calls of one turn become as many turns, each followed by its result."""
    messages: list[Json] = []
    for place, turn in enumerate(turns):
        if turn.role == "assistant":
            answers = turns[place + 1].parts if place + 1 < len(turns) else []
            messages += _assistant(turn, [part for part in answers if isinstance(part, ToolResult)])
            continue
        called = _calls(turns[place - 1]) if place else []
        known = {call.id for call in called}
        stray = [part for part in turn.parts if isinstance(part, ToolResult) and part.call_id not in known]
        messages += [_result(part) for part in stray]
        said: list[Part] = [part for part in turn.parts if not isinstance(part, ToolResult)]
        if said or not turn.parts:
            messages.append({"role": "user", "content": _text(said)})
    return messages


def _calls(turn: Turn) -> list[ToolCall]:
    return [part for part in turn.parts if isinstance(part, ToolCall)]


def _assistant(turn: Turn, results: list[ToolResult]) -> list[Json]:
    said = _text(turn.parts)
    calls = _calls(turn)
    if not calls:
        return [{"role": "assistant", "content": said}]
    messages: list[Json] = []
    for call in calls:
        function = {"name": call.name, "arguments": call.arguments or "{}"}
        messages.append({"role": "assistant", "content": said, "function_call": function})
        said = ""
        messages += [_result(result, call.name) for result in results if result.call_id == call.id]
    return messages


def _result(result: ToolResult, name: str = "") -> Json:
    if any(isinstance(part, Media) for part in result.parts):
        raise BadRequest(f"{NAME} takes texts only")
    return {"role": "function", "name": result.name or name, "content": plain_text(result.parts)}


def _text(parts: list[Part]) -> str:
    if any(isinstance(part, Media) for part in parts):
        raise BadRequest(f"{NAME} takes texts only")
    return "".join(part.text for part in parts if isinstance(part, Text))
