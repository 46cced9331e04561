"""Tools of OpenAI's Responses API, for upstreams that have no such API.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools. Functions and custom tools are
the caller's to run, so any upstream can call them. Tools that OpenAI runs or defines itself (web_search,
image_generation, mcp, shell …) are left out: programs send them with every request (Codex does), and a model that may
use a tool may also do without. A request that forces one is refused.
"""

from __future__ import annotations

from relay.adapters import shape
from relay.dialects.members import flag, items, mapping, refused, text
from relay.dialects.responses.input import Declared
from relay.neutral.request import Json, Tool, ToolChoice

CUSTOM_INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
FUNCTIONS = ("function", "custom")


def declared(document: Json, namespace: str = "") -> dict[str, Declared]:
    """The tools by the flat names an upstream calls them by. Of any document: what is no such tool is left out."""
    known: dict[str, Declared] = {}
    for entry in shape.items(document.get("tools")):
        kind, name = entry.get("type"), shape.text(entry.get("name"))
        if kind == "namespace" and not namespace:
            known |= declared(entry, name)
        elif kind in FUNCTIONS:
            one = Declared(name, namespace, kind == "custom")
            known[one.flat] = one
    return known


def read(document: Json) -> tuple[list[Tool], ToolChoice | None]:
    """(the functions that may be called, the choice among them). Raises BadRequest."""
    tools = _functions(document)
    choice = _choice(document)
    if (allowed := _allowed(document)) is not None:
        tools = [tool for tool in tools if tool.name in allowed]
    if tools:
        return tools, choice
    if choice is not None and choice.kind == "required" and items(document, "tools"):
        raise refused("tool_choice: required, but this channel's upstream can run none of these tools of OpenAI's own")
    return [], choice if choice is not None and choice.kind == "named" else None


def _allowed(document: Json) -> set[str] | None:
    """Flat names of the only functions that may be called; None: all. Others are not told: no protocol but OpenAI's
    has such a choice."""
    choice = document.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools" or choice.get("tools") is None:
        return None
    names = {text(tool, "name") for tool in items(choice, "tools") if tool.get("type") in FUNCTIONS}
    return {flat for flat, known in declared(document).items() if known.name in names or flat in names}


def _functions(document: Json, namespace: str = "") -> list[Tool]:
    tools: list[Tool] = []
    for entry in items(document, "tools"):
        kind = text(entry, "type")
        if kind == "namespace" and not namespace:
            tools += _functions(entry, text(entry, "name"))
        elif kind in FUNCTIONS:
            tools.append(_function(entry, Declared(text(entry, "name"), namespace, kind == "custom")))
        elif not kind:
            raise refused("tools: a tool without a type")
    return tools


def _function(entry: Json, known: Declared) -> Tool:
    if not known.name:
        raise refused("tools: a function without a name")
    if known.custom:
        return Tool(known.flat, _described(entry), CUSTOM_INPUT)
    return Tool(known.flat, text(entry, "description"), mapping(entry, "parameters"), flag(entry, "strict"))


def _described(entry: Json) -> str:
    """What a custom tool takes is told in words: other upstreams cannot be held to a grammar."""
    form = mapping(entry, "format") or {}
    grammar = text(form, "definition")
    told = f"The input must follow this {text(form, 'syntax')} grammar:\n{grammar}" if grammar else ""
    return "\n\n".join(part for part in (text(entry, "description"), told) if part)


def _choice(document: Json) -> ToolChoice | None:
    choice = document.get("tool_choice")
    match choice:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(choice)
        case {"type": "function" | "custom", "name": str(name)} if name:
            named = [flat for flat, known in declared(document).items() if known.name == name]
            return ToolChoice("named", named[0] if named else name)
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode}:
            allowed = [tool.get("type") for tool in items(choice, "tools")]
            if mode == "required" and allowed and not any(kind in FUNCTIONS for kind in allowed):
                raise refused("tool_choice: this channel's upstream can run none of the allowed tools")
            return ToolChoice(mode)
    raise refused("tool_choice: this channel's upstream can be told auto, none, required or the name of a function")
