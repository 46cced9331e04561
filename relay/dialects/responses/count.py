"""Our own count of a Responses request's prompt, for upstreams that send none."""

from __future__ import annotations

from typing import Any

from billing import tokens
from relay.adapters.shape import items, mapping, text

Json = dict[str, Any]


def count(model: str, document: Json, *, rough: bool) -> int:
    """Tokens of a document as of the chat it amounts to. Blocking (a tokenizer run)."""
    messages: list[Json] = []
    if instructions := text(document.get("instructions")):
        messages.append({"role": "system", "content": instructions})
    given = document.get("input")
    if isinstance(given, str):
        messages.append({"role": "user", "content": given})
    messages += [_message(item) for item in items(given)]
    chat: Json = {"messages": messages, "tools": document.get("tools")}
    form = mapping(mapping(document.get("text")).get("format"))
    if form.get("schema"):
        chat["response_format"] = {"json_schema": form}
    return tokens.count_prompt("chat", model, chat, rough=rough)


def _message(item: Json) -> Json:
    if item.get("arguments") or item.get("name"):
        arguments = text(item.get("arguments")) or text(item.get("input"))
        call = {"type": "function", "function": {"name": text(item.get("name")), "arguments": arguments}}
        return {"role": "assistant", "tool_calls": [call]}
    if "summary" in item:
        return {"role": "assistant", "reasoning_content": "".join(text(p.get("text")) for p in items(item["summary"]))}
    said = item.get("content", item.get("output"))
    content = said if isinstance(said, str) else [_part(part) for part in items(said)]
    return {"role": text(item.get("role")) or "tool", "content": content}


def _part(part: Json) -> Json:
    if part.get("type") == "input_image":
        return {"type": "image_url", "image_url": {"url": part.get("image_url"), "detail": part.get("detail")}}
    if part.get("type") == "refusal":
        return {"type": "refusal", "refusal": text(part.get("refusal"))}
    return {"type": "text", "text": text(part.get("text"))}
