"""OpenAI's responses, as OpenAI and Azure serve them.

https://platform.openai.com/docs/api-reference/responses/create, /responses-streaming
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.relay.matrix.scenes import FAILURE, TOOL, Heard, Json, Said, need, only
from tests.relay.matrix.upstreams.base import event

MEMBERS = (
    *("model", "input", "instructions", "stream", "max_output_tokens", "tools", "tool_choice", "reasoning", "text"),
    *("parallel_tool_calls", "store", "include", "metadata", "user", "previous_response_id"),
)


def hear(body: Json) -> Heard:
    """Raises Refused."""
    only(body, "body", *MEMBERS)
    heard = Heard(body["model"], bool(body.get("stream")), system=body.get("instructions") or "")
    for tool in body.get("tools", []):
        only(tool, "tools", "type", "name", "description", "parameters", "strict")
        heard.tools[tool["name"]] = tool["parameters"]
    if isinstance(body.get("tool_choice"), dict):
        heard.must_call = body["tool_choice"]["name"]
    wanted = body.get("text", {}).get("format", {})
    if wanted.get("type") == "json_schema":
        need(wanted.get("name"), "text.format.name is missing")
        heard.schema = wanted["schema"]
    reasoning = body.get("reasoning") or {}
    only(reasoning, "reasoning", "effort", "summary")
    heard.thinks, heard.shows_thoughts = bool(reasoning.get("effort")), bool(reasoning.get("summary"))
    _items(heard, body["input"])
    return heard


def _items(heard: Heard, told: str | list[Json]) -> None:
    items = [{"role": "user", "content": told}] if isinstance(told, str) else told
    waiting: list[str] = []
    for item in items:
        match item.get("type", "message"):
            case "message":
                _message(heard, item)
            case "function_call":
                waiting.append(item["call_id"])
            case "function_call_output":
                need(item["call_id"] in waiting, "no tool call found for function call output")
                waiting.remove(item["call_id"])
                heard.results.append(item["output"])
            case kind:
                need(kind == "reasoning", f"unknown item {kind}")
    need(not waiting, f"no tool output found for function call {waiting}")


def _message(heard: Heard, item: Json) -> None:
    content = item["content"]
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    said = "".join(part.get("text", "") for part in parts)
    if item["role"] in ("system", "developer"):
        heard.system += said
    elif item["role"] == "user":
        heard.said.append(said)
        for part in parts:
            if part["type"] == "input_image":
                head, _, data = part["image_url"].partition(",")
                need(head == "data:image/png;base64", f"image_url: {head[:60]}")
                heard.pictures.append(data)


def _message_item(said: Said) -> Json:
    text = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}


def _output(said: Said) -> list[Json]:
    output: list[Json] = []
    if said.thought:
        output.append({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": said.thought}]})
    if said.text:
        output.append(_message_item(said))
    for place, arguments in enumerate(said.calls):
        call = {"type": "function_call", "id": f"fc_{place}", "call_id": f"call_{place}", "name": TOOL}
        output.append({**call, "arguments": arguments, "status": "completed"})
    return output


def response(heard: Heard, said: Said | None) -> Json:
    """None: it has only begun."""
    usage = None
    if said is not None:
        figures = said.figures
        usage = {
            "input_tokens": figures.prompt,
            "input_tokens_details": {"cached_tokens": figures.cached},
            "output_tokens": figures.completion,
            "output_tokens_details": {"reasoning_tokens": figures.reasoning},
            "total_tokens": figures.prompt + figures.completion,
        }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1760000000,
        "status": "in_progress" if said is None else "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": heard.system,
        "metadata": {},
        "model": heard.model,
        "output": [] if said is None else _output(said),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage,
    }


def stream(heard: Heard, said: Said) -> Iterator[bytes]:
    for number, (kind, members) in enumerate(_events(heard, said)):
        yield event({"type": kind, "sequence_number": number, **members}, kind)


def _events(heard: Heard, said: Said) -> Iterator[tuple[str, Json]]:
    yield "response.created", {"response": response(heard, None)}
    yield "response.in_progress", {"response": response(heard, None)}
    for place, item in enumerate(_output(said)):
        at: dict[str, Any] = {"item_id": item["id"], "output_index": place}
        match item["type"]:
            case "reasoning":
                yield "response.output_item.added", {"output_index": place, "item": {**item, "summary": []}}
                at["summary_index"] = 0
                part = {"type": "summary_text", "text": said.thought}
                yield "response.reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
                yield "response.reasoning_summary_text.delta", {**at, "delta": said.thought}
                yield "response.reasoning_summary_text.done", {**at, "text": said.thought}
                yield "response.reasoning_summary_part.done", {**at, "part": part}
            case "message":
                begun = {**item, "status": "in_progress", "content": []}
                yield "response.output_item.added", {"output_index": place, "item": begun}
                at["content_index"] = 0
                text = item["content"][0]
                yield "response.content_part.added", {**at, "part": {**text, "text": ""}}
                for piece in said.pieces:
                    yield "response.output_text.delta", {**at, "delta": piece, "logprobs": []}
                yield "response.output_text.done", {**at, "text": said.text, "logprobs": []}
                yield "response.content_part.done", {**at, "part": text}
            case "function_call":
                begun = {**item, "status": "in_progress", "arguments": ""}
                arguments = item["arguments"]
                yield "response.output_item.added", {"output_index": place, "item": begun}
                for fragment in (arguments[:5], arguments[5:]):
                    yield "response.function_call_arguments.delta", {**at, "delta": fragment}
                yield "response.function_call_arguments.done", {**at, "name": TOOL, "arguments": arguments}
        yield "response.output_item.done", {"output_index": place, "item": item}
    yield "response.completed", {"response": response(heard, said)}


def midway() -> bytes:
    failed = {"type": "error", "sequence_number": 9, "code": "server_error", "message": FAILURE, "param": None}
    return event(failed, "error")
