"""Tools of Anthropic's Messages API, for upstreams of other protocols.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-reference. Tools of the caller's own can be called by
any upstream. Those that Anthropic runs or defines itself (web_search_20250305, bash_20250124, mcp_toolset …) are left
out: a model that may use a tool may also do without. A request that forces one is refused.
"""

from __future__ import annotations

from typing import Any

from relay.dialects.anthropic.content import refused
from relay.neutral.request import Json, Tool, ToolChoice

CHOICES = {"auto": "auto", "any": "required", "tool": "named", "none": "none"}


def read(document: Json) -> tuple[list[Tool], ToolChoice | None, bool | None]:
    """(tools, the choice among them, parallel calls allowed); None where nothing is said. Raises BadRequest."""
    tools, left_out = _tools(document.get("tools"))
    choice, parallel = _choice(document.get("tool_choice"))
    forced = choice is not None and (choice.name in left_out or (choice.kind == "required" and not tools))
    if left_out and forced:
        raise refused("tool_choice", f"{', '.join(left_out)[:200]} can be run by Anthropic's own channels only")
    return (tools, None, None) if left_out and not tools else (tools, choice, parallel)


def _tools(value: Any) -> tuple[list[Tool], list[str]]:
    """(tools, the names of those left out)."""
    if value is not None and not isinstance(value, list):
        raise refused("tools", "Input should be a valid list")
    tools: list[Tool] = []
    left_out: list[str] = []
    for index, tool in enumerate(value or []):
        where = f"tools.{index}"
        if not isinstance(tool, dict) or not isinstance(tool.get("name", ""), str):
            raise refused(where, "Input should be an object with a name")
        kind = tool.get("type")
        if kind is not None and not isinstance(kind, str):
            raise refused(f"{where}.type", "Input should be a valid string")
        if kind not in (None, "custom"):
            left_out.append(tool.get("name") or kind)
        else:
            tools.append(_tool(tool, where))
    return tools, left_out


def _tool(tool: Json, where: str) -> Tool:
    if not tool.get("name"):
        raise refused(f"{where}.name", "Field required")
    schema, strict, cache = tool.get("input_schema"), tool.get("strict"), tool.get("cache_control")
    if not isinstance(schema, dict):
        raise refused(f"{where}.input_schema", "Field required" if schema is None else "Input should be an object")
    description = tool.get("description")
    return Tool(
        tool["name"],
        description if isinstance(description, str) else "",
        schema,
        strict if isinstance(strict, bool) else None,
        cache if isinstance(cache, dict) else None,
    )


def _choice(value: Any) -> tuple[ToolChoice | None, bool | None]:
    """(choice, parallel calls allowed); None where nothing is said."""
    if value is None:
        return None, None
    kind = CHOICES.get(str(value.get("type"))) if isinstance(value, dict) else None
    if kind is None:
        raise refused("tool_choice", "Input should have the type 'auto', 'any', 'tool' or 'none'")
    parallel = False if value.get("disable_parallel_tool_use") is True else None
    if kind == "named":
        if not isinstance(value.get("name"), str):
            raise refused("tool_choice.name", "Field required")
        return ToolChoice("named", value["name"]), parallel
    return ToolChoice(kind), parallel  # type: ignore[arg-type]  # the table holds the words
