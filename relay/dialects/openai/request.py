"""OpenAI's request documents in the neutral form (providers' contract, 1.3).

https://platform.openai.com/docs/api-reference. Members that only OpenAI's own family knows go into `extra` as they
came; those with a neutral place (`reasoning_effort`, `thinking`, `enable_thinking`, ...) do not appear there again.
"""

from __future__ import annotations

from typing import Any

from relay.dialects.members import flag, items, mapping, number, refused, text, texts, whole
from relay.dialects.openai.messages import read_messages
from relay.errors import BadRequest
from relay.neutral.request import (
    Chat,
    Embed,
    Embeddings,
    Images,
    Json,
    OutputFormat,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    Turn,
)

EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
PURPOSES = {
    "query": Embed.QUERY,
    "search_query": Embed.QUERY,
    "document": Embed.DOCUMENT,
    "passage": Embed.DOCUMENT,
    "search_document": Embed.DOCUMENT,
}
_CHAT = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "tools", "tool_choice", "functions", "function_call"),
        *("parallel_tool_calls", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "n"),
        *("seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "response_format", "user"),
        *("reasoning_effort", "thinking", "enable_thinking", "thinking_budget", "include_reasoning"),
    }
)
_COMPLETION = _CHAT | {"prompt", "suffix", "echo", "best_of"}


def chat(document: Json) -> Chat:
    """Raises BadRequest."""
    conversation = read_messages(items(document, "messages"))
    if not conversation.turns and not conversation.system:
        raise refused("field messages is required")
    request = _common(document, _CHAT)
    request.turns, request.system = conversation.turns, conversation.system
    request.tools = _allowed(_tools(document), document.get("tool_choice"))
    request.tool_choice = _tool_choice(document)
    request.parallel_tools = flag(document, "parallel_tool_calls")
    request.logprobs = flag(document, "logprobs")
    request.top_logprobs = whole(document, "top_logprobs")
    request.output = _output(document)
    request.thinking = _thinking(document)
    return request


def completion(document: Json) -> Chat:
    """The older `/v1/completions`: a prompt as the one turn of a conversation. Raises BadRequest."""
    prompt = document.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str) or not prompt:
        raise refused("this channel's upstream takes one prompt as text: no lists and no token numbers")
    for name in ("suffix", "echo", "logprobs"):
        if document.get(name):
            raise refused(f"this channel's upstream cannot do {name}")
    best_of = whole(document, "best_of")
    if best_of is not None and best_of > (whole(document, "n") or 1):
        raise refused("this channel's upstream cannot do best_of")
    request = _common(document, _COMPLETION)
    request.turns = [Turn("user", [Text(prompt)])]
    return request


def _common(document: Json, known: frozenset[str]) -> Chat:
    maximum = whole(document, "max_completion_tokens")
    return Chat(
        turns=[],
        stream=bool(flag(document, "stream")),
        max_tokens=(whole(document, "max_tokens") if maximum is None else maximum) or None,  # a 0 limits nothing
        temperature=number(document, "temperature"),
        top_p=number(document, "top_p"),
        top_k=whole(document, "top_k"),
        stop=[entry for entry in texts(document, "stop") if entry],
        n=whole(document, "n"),
        seed=whole(document, "seed"),
        presence_penalty=number(document, "presence_penalty"),
        frequency_penalty=number(document, "frequency_penalty"),
        user=text(document, "user"),
        extra={name: value for name, value in document.items() if name not in known and value is not None},
    )


def _tools(document: Json) -> list[Tool]:
    tools = []
    for entry in items(document, "tools"):
        if entry.get("type", "function") != "function":
            raise refused(f"tools: this channel's upstream has no tools of type {entry.get('type')!r}"[:200])
        tools.append(_tool(mapping(entry, "function") or {}, mapping(entry, "cache_control")))
    return tools + [_tool(entry, None) for entry in items(document, "functions")]


def _tool(function: Json, cache: Json | None) -> Tool:
    name = text(function, "name")
    if not name:
        raise refused("tools: a function without a name")
    return Tool(
        name,
        text(function, "description"),
        mapping(function, "parameters"),
        flag(function, "strict"),
        cache or mapping(function, "cache_control"),
    )


def _tool_choice(document: Json) -> ToolChoice | None:
    choice = document.get("tool_choice")
    if choice is None:
        choice = document.get("function_call")  # the older form: "auto", "none" or {"name"}
        if isinstance(choice, dict):
            choice = {"function": choice}
    match choice:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(choice)
        case "any":
            return ToolChoice("required")
        case {"function": {"name": str(name)}} if name:
            return ToolChoice("named", name)
        case {"type": "allowed_tools", "allowed_tools": {"mode": "auto" | "required" as mode}}:
            return ToolChoice(mode)
    raise refused("tool_choice must be auto, none, required or the name of a function")


def _allowed(tools: list[Tool], choice: Any) -> list[Tool]:
    """Of the tools those that `allowed_tools` names: other protocols have no such choice, so the rest is not told."""
    match choice:
        case {"type": "allowed_tools", "allowed_tools": {"tools": list(named)}}:
            names = [mapping(entry, "function") for entry in items({"tools": named}, "tools")]
            wanted = {text(function or {}, "name") for function in names}
            if not (kept := [tool for tool in tools if tool.name in wanted]):
                raise refused("tool_choice: tools describes none of the allowed tools")
            return kept
    return tools


def _output(document: Json) -> OutputFormat | None:
    form = mapping(document, "response_format")
    if form is None:
        return None
    kind = form.get("type")
    if kind == "text":
        return OutputFormat("text")
    if kind == "json_object":
        return OutputFormat("json")
    described = mapping(form, "json_schema")
    if kind != "json_schema" or described is None:
        raise refused("response_format must be of type text, json_object or json_schema")
    return OutputFormat(
        "schema",
        mapping(described, "schema") or {},
        text(described, "name"),
        text(described, "description"),
        flag(described, "strict"),
    )


def _thinking(document: Json) -> Thinking | None:
    """What OpenAI (`reasoning_effort`), Anthropic, GLM, Doubao (`thinking`), Qwen (`enable_thinking`) and Gemini
    (`extra_body.google.thinking_config`) callers write."""
    thinking = Thinking()
    effort = text(document, "reasoning_effort")
    if effort and effort not in EFFORTS:
        raise refused("reasoning_effort must be none, minimal, low, medium, high, xhigh or max")
    thinking.effort = effort
    given = document.get("thinking")
    if isinstance(given, dict):
        match given.get("type"):
            case "disabled":
                thinking.budget = 0
            case "adaptive":
                thinking.adaptive = True
            case "enabled":
                budget = whole(given, "budget_tokens")
                thinking.budget = -1 if budget is None else budget
                thinking.shown = True
        if given.get("display") in ("omitted", "summarized"):
            thinking.shown = given["display"] == "summarized"
    switch = flag(document, "enable_thinking")
    if switch is False:
        thinking.budget = 0
    elif switch or document.get("thinking_budget") is not None:
        budget = whole(document, "thinking_budget")
        thinking.budget = -1 if budget is None else budget
        thinking.shown = True
    if (shown := flag(document, "include_reasoning")) is not None:
        thinking.shown = shown
    _google(document, thinking)
    return None if thinking == Thinking() else thinking


def _google(document: Json, thinking: Thinking) -> None:
    config: Any = document.get("extra_body")
    for name in ("google", "thinking_config"):
        config = config.get(name) if isinstance(config, dict) else None
    if not isinstance(config, dict):
        return
    budget, shown = whole(config, "thinking_budget"), flag(config, "include_thoughts")
    thinking.budget = thinking.budget if budget is None else budget
    thinking.shown = thinking.shown if shown is None else shown
    level = text(config, "thinking_level").lower()
    if level in EFFORTS:
        thinking.effort = level


def embeddings(document: Json) -> Embeddings:
    """Raises BadRequest."""
    given = document.get("input")
    encoding = text(document, "encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise refused("encoding_format must be float or base64")
    known = {"model", "input", "dimensions", "encoding_format", "user"}
    return Embeddings(
        _inputs(given),
        whole(document, "dimensions"),
        "base64" if encoding == "base64" else "float",
        PURPOSES.get(text(document, "input_type").lower()),
        text(document, "user"),
        {name: value for name, value in document.items() if name not in known and value is not None},
    )


def _inputs(given: Any) -> list[str | list[int]]:
    """A text, texts, the token numbers of one text, or those of several."""
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not given:
        raise refused("field input is required")
    if all(isinstance(item, str) for item in given):
        return list(given)
    if _is_tokens(given):
        return [list(given)]
    if all(isinstance(item, str) or (item and _is_tokens(item)) for item in given):
        return list(given)
    raise refused("input must be a string, a list of strings, or lists of token numbers")


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in value)


def images(document: Json) -> Images:
    """Raises BadRequest."""
    try:
        encoding = text(document, "response_format")
        if encoding not in ("", "url", "b64_json"):
            raise refused("response_format must be url or b64_json")
        known = {"model", "prompt", "n", "size", "quality", "style", "response_format", "user"}
        return Images(
            text(document, "prompt"),
            whole(document, "n") or 1,
            text(document, "size"),
            text(document, "quality"),
            text(document, "style"),
            "url" if encoding == "url" else "b64_json" if encoding else "",
            text(document, "user"),
            {name: value for name, value in document.items() if name not in known and value is not None},
        )
    except BadRequest as error:
        error.code = "invalid_image_request"
        raise
