"""Neutral requests as DashScope's bodies: `model`, `input`, `parameters`.

https://help.aliyun.com/en/model-studio/qwen-api-via-dashscope, /text-embedding-synchronous-api; relay contract of
providers, 3.10.
"""

from __future__ import annotations

from typing import Any

from relay.adapters.ali.models import ONLINE, is_multimodal, upstream_name
from relay.adapters.base import Job
from relay.adapters.forced_tool import forced_tool
from relay.adapters.usual import texts_of
from relay.errors import BadRequest
from relay.neutral.request import (
    Chat,
    Embed,
    Embeddings,
    Json,
    Media,
    OutputFormat,
    Part,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    plain_text,
)

NAME = "DashScope's protocol"
MOST_TOP_P = 0.9999  # 1 is refused
PURPOSES = {Embed.DOCUMENT: "document", Embed.QUERY: "query"}
# DashScope's own members of a chat's and an embedding's parameters.
OWN = (
    *("enable_search", "search_options", "repetition_penalty", "translation_options", "vl_high_resolution_images"),
    *("vl_enable_image_hw_output", "enable_code_interpreter", "ocr_options", "asr_options", "preserve_thinking"),
)
OWN_EMBEDDING = ("text_type", "output_type", "instruct")
MIMES = {"image": "image/png", "video": "video/mp4", "audio": "audio/wav"}


def sees(model: str, chat: Chat) -> bool:
    """Whether the multimodal interface has to serve it."""
    if is_multimodal(model):
        return True
    return any(
        isinstance(part, Media) or (isinstance(part, ToolResult) and any(isinstance(one, Media) for one in part.parts))
        for turn in chat.turns
        for part in turn.parts
    )


def chat_body(job: Job, chat: Chat, multimodal: bool) -> Json:
    """Raises BadRequest."""
    return {
        "model": upstream_name(job.model),
        "input": {"messages": _messages(chat, multimodal)},
        "parameters": _parameters(job.model, chat),
    }


def _parameters(model: str, chat: Chat) -> Json:
    parameters: Json = {
        "result_format": "message",
        "incremental_output": True if chat.stream else None,
        "enable_search": True if model.endswith(ONLINE) else None,
        "temperature": chat.temperature,
        "top_p": None if chat.top_p is None else min(chat.top_p, MOST_TOP_P),
        "top_k": chat.top_k,
        "max_tokens": chat.max_tokens,
        "seed": chat.seed,
        "stop": chat.stop or None,
        "n": chat.n if chat.n is not None and chat.n > 1 else None,
        "presence_penalty": chat.presence_penalty,
        "logprobs": chat.logprobs,
        "top_logprobs": chat.top_logprobs if chat.logprobs else None,
        "response_format": _format(chat.output),
    }
    parameters |= {name: chat.extra[name] for name in OWN if name in chat.extra}
    parameters |= _tools(chat) | _thinking(chat.thinking)
    return {name: value for name, value in parameters.items() if value is not None}


def _format(output: OutputFormat | None) -> Json | None:
    if output is None or output.kind == "text":
        return None
    if output.kind == "json":
        return {"type": "json_object"}
    schema: Json = {"name": output.name or "answer", "schema": output.schema or {}}
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"type": "json_schema", "json_schema": schema}


def _thinking(asked: Thinking | None) -> Json:
    if asked is None or not (asked.effort or asked.budget is not None or asked.adaptive):
        return {}
    if asked.effort == "none" or asked.budget == 0:
        return {"enable_thinking": False}
    return {"enable_thinking": True} | ({"thinking_budget": asked.budget} if (asked.budget or 0) > 0 else {})


def _tools(chat: Chat) -> Json:
    forced = forced_tool(chat, NAME)
    if not chat.tools:
        return {}
    members: Json = {"tools": [_tool(tool) for tool in chat.tools], "parallel_tool_calls": chat.parallel_tools}
    if forced is not None:
        members["tool_choice"] = {"type": "function", "function": {"name": forced.name}}
    elif chat.tool_choice is not None:
        members["tool_choice"] = chat.tool_choice.kind
    return members


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name, "parameters": tool.parameters or {"type": "object", "properties": {}}}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _messages(chat: Chat, multimodal: bool) -> list[Json]:
    """OpenAI's messages, but that the parts of a multimodal content are named by what they hold."""
    system = "\n".join(part.text for part in chat.system if part.text)
    messages: list[Json] = [{"role": "system", "content": _said(system, multimodal)}] if system else []
    for turn in chat.turns:
        messages += [_assistant(turn, multimodal)] if turn.role == "assistant" else _user(turn, multimodal)
    return messages


def _said(text: str, multimodal: bool) -> str | list[Json]:
    return [{"text": text}] if multimodal else text


def _assistant(turn: Turn, multimodal: bool) -> Json:
    if any(isinstance(part, Media) for part in turn.parts):
        raise BadRequest(f"{NAME} takes no media in the assistant's own turns")
    said = plain_text(turn.parts)
    message: Json = {"role": "assistant", "content": _said(said, multimodal)}
    if thought := "".join(part.text for part in turn.parts if isinstance(part, Thought)):
        message["reasoning_content"] = thought
    calls = [part for part in turn.parts if isinstance(part, ToolCall)]
    if calls:
        message["content"] = _said(said, multimodal) if said else ""
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "index": place,
                "function": {"name": call.name, "arguments": call.arguments or "{}"},
            }
            for place, call in enumerate(calls)
        ]
    return message


def _user(turn: Turn, multimodal: bool) -> list[Json]:
    """The results of tools are messages of their own; media they hold are shown by the user."""
    messages: list[Json] = []
    said: list[Part] = []
    for part in turn.parts:
        if not isinstance(part, ToolResult):
            said.append(part)
            continue
        message: Json = {
            "role": "tool",
            "tool_call_id": part.call_id,
            "content": _said(plain_text(part.parts), multimodal),
        }
        messages.append(message | ({"name": part.name} if part.name else {}))
        said += [piece for piece in part.parts if isinstance(piece, Media)]
    if said or not messages:
        messages.append({"role": "user", "content": _parts(said) if multimodal else plain_text(said)})
    return messages


def _parts(parts: list[Part]) -> list[Json]:
    content: list[Json] = []
    for part in parts:
        if isinstance(part, Text):
            content.append({"text": part.text})
        elif isinstance(part, Media):
            if part.kind not in MIMES or part.url.startswith("gs://"):
                raise BadRequest(f"{NAME} takes texts, images, videos and sounds only")
            content.append({part.kind: part.url or f"data:{part.mime or MIMES[part.kind]};base64,{part.data}"})
    return content or [{"text": ""}]


def embeddings_body(model: str, request: Embeddings) -> Json:
    """Raises BadRequest."""
    parameters: dict[str, Any] = {
        "dimension": request.dimensions,
        "text_type": None if request.purpose is None else PURPOSES[request.purpose],
    }
    parameters |= {name: request.extra[name] for name in OWN_EMBEDDING if name in request.extra}
    return {
        "model": model,
        "input": {"texts": texts_of(request.inputs, NAME)},
        "parameters": {name: value for name, value in parameters.items() if value is not None},
    }
