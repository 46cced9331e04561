"""The one tool a model is made to call, for protocols that know no other force."""

from __future__ import annotations

from relay.errors import BadRequest
from relay.neutral.request import Chat, Tool


def forced_tool(chat: Chat, name: str) -> Tool | None:
    """None: the model may choose. Raises BadRequest: it must call one of several, or one that was not described.

    `name` is the protocol's, for people.
    """
    choice = chat.tool_choice
    if choice is None or choice.kind in ("auto", "none"):
        return None
    tools = [tool for tool in chat.tools if choice.kind == "required" or tool.name == choice.name]
    if not tools:
        raise BadRequest("tool_choice asks for a tool that tools does not describe")
    if len(tools) > 1:
        raise BadRequest(f"tool_choice: {name} cannot require one of several tools, only a named one")
    return tools[0]
