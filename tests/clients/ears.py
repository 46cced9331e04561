"""What a program said, read from its request whatever else it carries: an upstream that takes all of its own dialect.

Each reader takes a body of one protocol and gives the user's texts, the tools' names and all results of tools.
"""

from __future__ import annotations

from typing import Any

from tests.relay.matrix.scenes import Heard, Json


def chat_completions(body: Json) -> Heard:
    heard = _begun(body)
    for tool in body.get("tools") or []:
        heard.tools[tool["function"]["name"]] = tool["function"].get("parameters", {})
    heard.schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    for message in body["messages"]:
        match message["role"]:
            case "system" | "developer":
                heard.system += _text(message["content"])
            case "user":
                heard.said.append(_text(message["content"]))
            case "tool":
                heard.results.append(_text(message["content"]))
    return heard


def responses(body: Json) -> Heard:
    heard = _begun(body)
    heard.system = body.get("instructions") or ""
    for tool in body.get("tools") or []:
        members = tool["tools"] if tool["type"] == "namespace" else [tool]
        heard.tools |= {member["name"]: member.get("parameters", {}) for member in members if "name" in member}
    told = body["input"]
    for item in [{"role": "user", "content": told}] if isinstance(told, str) else told:
        if item.get("role") == "user":
            heard.said.append(_text(item["content"]))
        elif item.get("type", "").endswith("_call_output"):
            heard.results.append(_text(item["output"]))
    return heard


def messages(body: Json) -> Heard:
    heard = _begun(body)
    heard.system = _text(body.get("system") or "")
    heard.tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools") or []}
    heard.schema = body.get("output_config", {}).get("format", {}).get("schema")
    for message in body["messages"]:
        content = message["content"]
        if message["role"] != "user":
            continue
        heard.said.append(_text(content))
        blocks = [] if isinstance(content, str) else content
        heard.results += [_text(block["content"]) for block in blocks if block["type"] == "tool_result"]
    return heard


def contents(body: Json, model: str, stream: bool) -> Heard:
    heard = Heard(model, stream)
    heard.system = _text((body.get("systemInstruction") or {}).get("parts") or [])
    for tool in body.get("tools") or []:
        heard.tools |= {function["name"]: {} for function in tool.get("functionDeclarations") or []}
    for content in body["contents"]:
        if content.get("role", "user") == "user":
            heard.said.append(_text(content["parts"]))
            answers = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
            heard.results += [str(answer["response"]) for answer in answers]
    return heard


def _begun(body: Json) -> Heard:
    return Heard(body["model"], bool(body.get("stream")))


def _text(content: Any) -> str:
    """Of a text, or of the parts that have some."""
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)
