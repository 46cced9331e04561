"""OpenAI's chat completions: what OpenAI, Azure and Zhipu have in common.

https://platform.openai.com/docs/api-reference/chat/create, /chat/streaming
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.relay.matrix.scenes import TOOL, Figures, Heard, Json, Refused, Said, need, only
from tests.relay.matrix.upstreams.base import event

MEMBERS = (
    *("model", "messages", "stream", "stream_options", "max_completion_tokens", "max_tokens", "tools", "tool_choice"),
    *("parallel_tool_calls", "response_format", "reasoning_effort", "temperature", "top_p", "n", "stop", "user"),
    *("seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "store", "metadata"),
)
REFUSED_BY_REASONING = ("max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs")
DONE = b"data: [DONE]\n\n"


def hear(body: Json, *known: str) -> Heard:
    """A request with these members. Raises Refused."""
    only(body, "body", *known)
    heard = Heard(str(body.get("model", "")), bool(body.get("stream")))
    need("stream_options" not in body or heard.stream, "stream_options without stream")
    for tool in body.get("tools", []):
        only(tool, "tools", "type", "function")
        function = tool["function"]
        only(function, "tools.function", "name", "description", "parameters", "strict")
        if function.get("strict"):
            need(function["parameters"].get("additionalProperties") is False, "strict: additionalProperties")
        heard.tools[function["name"]] = function["parameters"]
    need("tool_choice" not in body or heard.tools, "tool_choice without tools")
    if isinstance(body.get("tool_choice"), dict):
        heard.must_call = body["tool_choice"]["function"]["name"]
    if body.get("response_format", {}).get("type") == "json_schema":
        described = body["response_format"]["json_schema"]
        only(described, "response_format.json_schema", "name", "schema", "strict", "description")
        need(described.get("name"), "response_format.json_schema.name is missing")
        heard.schema = described["schema"]
    messages(heard, body["messages"])
    return heard


def messages(heard: Heard, told: list[Json]) -> None:
    """Raises Refused: roles and parts nobody knows, calls that are not answered, answers that nobody called for."""
    waiting: list[str] = []
    need(told, "messages: empty")
    for message in told:
        role = message.get("role")
        if role == "tool":
            only(message, "tool message", "role", "tool_call_id", "content", "name")
            need(message["tool_call_id"] in waiting, "a tool message must answer a call before it")
            waiting.remove(message["tool_call_id"])
            heard.results.append(_text(message["content"]))
            continue
        need(not waiting, f"tool_calls must be followed by tool messages: {waiting}")
        heard.results = []
        content = message.get("content")
        match role:
            case "system" | "developer":
                heard.system += _text(content)
            case "user":
                heard.said.append(_text(content))
                if isinstance(content, list):
                    heard.pictures += [_picture(part) for part in content if part["type"] == "image_url"]
            case "assistant":
                calls = message.get("tool_calls", [])
                need(content or calls, "an assistant message without content and calls")
                for call in calls:
                    only(call, "tool_calls", "id", "type", "function", "index")
                    need(isinstance(call["function"]["arguments"], str), "arguments are text")
                waiting = [call["id"] for call in calls]
            case _:
                raise Refused(f"unknown role {role!r}")
    need(not waiting, f"tool_calls must be followed by tool messages: {waiting}")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    need(isinstance(content, list), f"content: {content!r}")
    need(all(part.get("type") in ("text", "image_url") for part in content), f"content: {content!r}"[:300])
    return "".join(part["text"] for part in content if part["type"] == "text")


def _picture(part: Json) -> str:
    only(part, "content.image_url", "type", "image_url")
    only(part["image_url"], "image_url", "url", "detail")
    head, _, data = part["image_url"]["url"].partition(",")
    need(head == "data:image/png;base64", f"image_url: {head[:60]}")
    return str(data)


def usage(figures: Figures) -> Json:
    return {
        "prompt_tokens": figures.prompt,
        "completion_tokens": figures.completion,
        "total_tokens": figures.prompt + figures.completion,
        "prompt_tokens_details": {"cached_tokens": figures.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": figures.reasoning, "audio_tokens": 0},
    }


def _calls(said: Said) -> list[Json]:
    return [
        {"id": f"call_{place}", "type": "function", "function": {"name": TOOL, "arguments": arguments}}
        for place, arguments in enumerate(said.calls)
    ]


def answer(heard: Heard, said: Said) -> Json:
    message: Json = {"role": "assistant", "content": said.text or None, "refusal": None, "annotations": []}
    if said.thought:
        message["reasoning_content"] = said.thought
    if said.calls:
        message["tool_calls"] = _calls(said)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1760000000,
        "model": heard.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(heard, said)}],
        "usage": usage(said.figures),
        "service_tier": "default",
    }


def _finish(heard: Heard, said: Said) -> str:
    """A call that the caller chose is no reason to stop, in OpenAI's words."""
    return "tool_calls" if said.calls and not heard.must_call else "stop"


def chunk(heard: Heard, delta: Json, finish: str | None = None, **more: Any) -> Json:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": heard.model,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        **more,
    }


def chunks(heard: Heard, said: Said) -> Iterator[Json]:
    """All but the usage."""
    yield chunk(heard, {"role": "assistant", "content": None if said.calls else ""})
    if said.thought:
        for piece in (said.thought[:8], said.thought[8:]):
            yield chunk(heard, {"reasoning_content": piece})
    for piece in said.pieces:
        yield chunk(heard, {"content": piece})
    for place, call in enumerate(_calls(said)):
        arguments = call["function"]["arguments"]
        first = {**call, "index": place, "function": {"name": TOOL, "arguments": ""}}
        yield chunk(heard, {"tool_calls": [first]})
        for fragment in (arguments[:5], arguments[5:]):
            yield chunk(heard, {"tool_calls": [{"index": place, "function": {"arguments": fragment}}]})


def stream(heard: Heard, said: Said, with_usage: bool) -> Iterator[bytes]:
    """As OpenAI closes it: usage in a chunk of its own, where it is asked for."""
    none = {"usage": None} if with_usage else {}
    for each in [*chunks(heard, said), chunk(heard, {}, _finish(heard, said))]:
        yield event({**each, **none})
    if with_usage:
        yield event({**chunk(heard, {}), "choices": [], "usage": usage(said.figures)})
    yield DONE


def stream_with_usage_at_the_end(heard: Heard, said: Said) -> Iterator[bytes]:
    """As Zhipu does: usage on the last chunk of the choice, asked for or not."""
    for each in chunks(heard, said):
        yield event(each)
    yield event(chunk(heard, {"role": "assistant", "content": ""}, _finish(heard, said), usage=usage(said.figures)))
    yield DONE


def error(refused: Refused) -> Json:
    kinds = {400: "invalid_request_error", 401: "authentication_error", 429: "requests", 500: "server_error"}
    codes = {400: "invalid_value", 401: "invalid_token", 429: "rate_limit_exceeded", 500: "server_error"}
    kind, code = kinds.get(refused.status, "invalid_request_error"), codes.get(refused.status)
    return {"error": {"message": refused.message, "type": kind, "param": None, "code": code}}
