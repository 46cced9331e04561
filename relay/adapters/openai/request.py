"""Neutral requests as OpenAI's request bodies, within what the provider's row and the model know.

https://platform.openai.com/docs/api-reference/chat/create, .../embeddings/create, .../images/create.
"""

from __future__ import annotations

from typing import Any

from channels_app.snapshot import Route
from relay.adapters.json_schema import describes_object, inner
from relay.adapters.openai import reasoning as openai_reasoning
from relay.adapters.openai.messages import messages
from relay.adapters.shape import mapping, texts
from relay.neutral.request import Chat, Embeddings, Images, Json, OutputFormat, Tool, ToolChoice

# Members of OpenAI's API without a neutral name that any of its dialects may have kept.
KEPT = (
    *("service_tier", "metadata", "store", "logit_bias", "prompt_cache_key", "prompt_cache_retention"),
    *("safety_identifier", "verbosity", "prediction", "modalities", "audio", "web_search_options"),
)


def chat_body(route: Route, model: str, chat: Chat) -> Json:
    """Raises BadRequest."""
    provider = route.provider
    maximum = "max_completion_tokens" if openai_reasoning.reasons(model) else "max_tokens"
    body: Json = {
        "model": model,
        "messages": messages(provider, chat),
        maximum: chat.max_tokens,
        "temperature": chat.temperature,
        "top_p": chat.top_p,
        "n": chat.n,
        "stop": chat.stop or None,
        "seed": chat.seed,
        "presence_penalty": chat.presence_penalty,
        "frequency_penalty": chat.frequency_penalty,
        "logprobs": chat.logprobs,
        "top_logprobs": chat.top_logprobs if chat.logprobs else None,
        "response_format": _format(chat.output),
        "user": chat.user or None,
        "tools": [_tool(tool) for tool in chat.tools] or None,
    }
    if chat.tools:
        body["tool_choice"] = _choice(chat.tool_choice)
        body["parallel_tool_calls"] = chat.parallel_tools
    if "top_k" in provider.knows and chat.top_k is not None:
        body["top_k"] = chat.top_k
    if chat.stream:
        body["stream"] = True
        if not route.refuses_stream_options:
            body["stream_options"] = {"include_usage": True}
    body |= {name: chat.extra[name] for name in KEPT if name in chat.extra}
    body |= openai_reasoning.members(provider, model, chat)
    return _fitted(route, openai_reasoning.without_refused(model, body))


def _fitted(route: Route, body: Json) -> Json:
    """Without what is absent and what the provider refuses, under the names it knows."""
    provider = route.provider
    return {
        provider.renames.get(name, name): value
        for name, value in body.items()
        if value is not None and name not in provider.refuses
    }


def _tool(tool: Tool) -> Json:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    function: Json = {"name": tool.name, "parameters": parameters}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is False or (tool.strict and _binds(parameters)):
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _binds(schema: Any) -> bool:
    """Whether a model can be held to the schema: each object is closed, and has no member that may be left out.

    Anthropic's strict tools may have such members; OpenAI refuses them.
    https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    if not isinstance(schema, dict):
        return True
    properties, required = mapping(schema.get("properties")), texts(schema.get("required"))
    is_object = describes_object(schema) or bool(properties)
    if is_object and (schema.get("additionalProperties") is not False or not set(properties) <= set(required)):
        return False
    return all(map(_binds, inner(schema)))


def _choice(choice: ToolChoice | None) -> Any:
    if choice is None:
        return None
    return {"type": "function", "function": {"name": choice.name}} if choice.kind == "named" else choice.kind


def _format(output: OutputFormat | None) -> Json | None:
    if output is None or output.kind == "text":
        return None
    if output.kind == "json":
        return {"type": "json_object"}
    described: Json = {"name": output.name or "answer", "schema": output.schema or {}}
    if output.description:
        described["description"] = output.description
    if output.strict is not None:
        described["strict"] = output.strict
    return {"type": "json_schema", "json_schema": described}


def embeddings_body(route: Route, model: str, request: Embeddings) -> Json:
    body: Json = {
        "model": model,
        "input": request.inputs,
        "dimensions": request.dimensions,
        "encoding_format": request.encoding,
        "user": request.user or None,
    }
    return _fitted(route, body)


def images_body(route: Route, model: str, request: Images) -> Json:
    body: Json = {
        "model": model,
        "prompt": request.prompt,
        "n": request.n,
        "size": request.size or None,
        "quality": request.quality or None,
        "style": request.style or None,
        # gpt-image models answer in base64 always, and refuse to be asked how.
        "response_format": None if model.startswith("gpt-image") else request.encoding or None,
        "user": request.user or None,
    }
    return _fitted(route, body)
