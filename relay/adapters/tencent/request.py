"""Neutral conversations as bodies of Hunyuan's ChatCompletions.

https://cloud.tencent.com/document/api/1729/105701; relay contract of providers, 3.12.
"""

from __future__ import annotations

import orjson

from relay.adapters.forced_tool import forced_tool
from relay.adapters.told_form import with_form_told
from relay.errors import BadRequest
from relay.neutral.request import (
    Chat,
    Json,
    Media,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    joined,
    plain_text,
)

NAME = "Hunyuan's protocol"
MOST_SEED = 10_000
# Hunyuan's own members, under its names and under those of its OpenAI-compatible interface.
OWN = {
    "enable_enhancement": "EnableEnhancement",
    "force_search_enhancement": "ForceSearchEnhancement",
    "enable_speed_search": "EnableSpeedSearch",
    "enable_multimedia": "EnableMultimedia",
    "enable_deep_search": "EnableDeepSearch",
    "enable_deep_read": "EnableDeepRead",
    "enable_recommended_questions": "EnableRecommendedQuestions",
    "search_info": "SearchInfo",
    "citation": "Citation",
    "stream_moderation": "StreamModeration",
    "web_search_options": "WebSearchOptions",
    "topic_choice": "TopicChoice",
}


def chat_body(model: str, chat: Chat) -> Json:
    """Raises BadRequest. There is no limit of the output among its members: `max_tokens` is dropped."""
    chat = with_form_told(chat)
    body: Json = {"Model": model, "Messages": _messages(chat), "Stream": chat.stream}
    if chat.temperature is not None:
        body["Temperature"] = min(max(chat.temperature, 0.0), 2.0)
    if chat.top_p is not None:
        body["TopP"] = min(max(chat.top_p, 0.0), 1.0)
    if chat.stop:
        body["Stop"] = chat.stop
    if chat.seed is not None and 1 <= chat.seed <= MOST_SEED:
        body["Seed"] = chat.seed
    body |= _tools(chat) | _thinking(chat.thinking)
    own = {OWN.get(name, name): value for name, value in chat.extra.items()}
    return body | {name: value for name, value in own.items() if name in OWN.values() and value is not None}


def _thinking(asked: Thinking | None) -> Json:
    if asked is None or not (asked.effort or asked.budget is not None or asked.adaptive):
        return {}
    return {"EnableThinking": asked.effort != "none" and asked.budget != 0}


def _tools(chat: Chat) -> Json:
    forced = forced_tool(chat, NAME)
    if not chat.tools:
        return {}
    members: Json = {"Tools": [_tool(tool) for tool in chat.tools]}
    if forced is not None:
        members |= {"ToolChoice": "custom", "CustomTool": _tool(forced)}
    elif chat.tool_choice is not None:
        members["ToolChoice"] = chat.tool_choice.kind
    return members


def _tool(tool: Tool) -> Json:
    function: Json = {"Name": tool.name, "Parameters": _schema(tool)}
    if tool.description:
        function["Description"] = tool.description
    return {"Type": "function", "Function": function}


def _schema(tool: Tool) -> str:
    return orjson.dumps(tool.parameters or {"type": "object", "properties": {}}).decode()


def _messages(chat: Chat) -> list[Json]:
    """User and assistant take turns, after one system message at most."""
    system = "\n".join(part.text for part in chat.system if part.text)
    messages: list[Json] = [{"Role": "system", "Content": system}] if system else []
    for turn in joined(chat.turns):
        messages += [_assistant(turn)] if turn.role == "assistant" else _user(turn)
    return messages


def _assistant(turn: Turn) -> Json:
    if any(isinstance(part, Media) for part in turn.parts):
        raise BadRequest(f"{NAME} takes no media in the assistant's own turns")
    message: Json = {"Role": "assistant", "Content": plain_text(turn.parts)}
    calls = [part for part in turn.parts if isinstance(part, ToolCall)]
    if calls:
        message["ToolCalls"] = [
            {"Id": call.id, "Type": "function", "Function": {"Name": call.name, "Arguments": call.arguments or "{}"}}
            for call in calls
        ]
    return message


def _user(turn: Turn) -> list[Json]:
    messages: list[Json] = []
    said: list[Part] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            messages.append({"Role": "tool", "ToolCallId": part.call_id, "Content": plain_text(part.parts)})
            said += [piece for piece in part.parts if isinstance(piece, Media)]
        else:
            said.append(part)
    if said or not messages:
        messages.append({"Role": "user"} | _content(said))
    return messages


def _content(parts: list[Part]) -> Json:
    if not any(isinstance(part, Media) for part in parts):
        return {"Content": plain_text(parts)}
    contents: list[Json] = []
    for part in parts:
        if isinstance(part, Text):
            contents.append({"Type": "text", "Text": part.text})
        elif isinstance(part, Media):
            if part.kind != "image" or part.url.startswith("gs://"):
                raise BadRequest(f"{NAME} takes texts and images only")
            url = part.url or f"data:{part.mime or 'image/png'};base64,{part.data}"
            contents.append({"Type": "image_url", "ImageUrl": {"Url": url}})
    return {"Contents": contents}
