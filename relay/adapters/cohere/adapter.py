"""Cohere's API v2: chat, embeddings and reranking; and chat in v1.

https://docs.cohere.com/reference/chat, /reference/chat-stream, /reference/embed, /reference/rerank; relay contract of
providers, 3.8. The connectors behind the `-internet` names of models were withdrawn on 2025-09-15
(https://docs.cohere.com/changelog); such names are served by the plain model. A channel whose `api_version` is "v1"
converses by v1 (`v1_request`, `v1_answer`), which still has a place for connectors.
"""

from __future__ import annotations

import logging

from relay.adapters.base import Adapter, Chat, Embeddings, Job, Outgoing, Outside, Read, Reader, Rerank
from relay.adapters.cohere import v1_answer, v1_request
from relay.adapters.cohere.answer import CohereReader, read_chat
from relay.adapters.ranking import billed, read_ranking, rerank_body
from relay.adapters.shape import Json, document, mapping
from relay.adapters.usual import chat_of, posted, stops_of, texts_of
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Vectors
from relay.neutral.request import Embed, Media, Part, Text, Thought, ToolCall, ToolResult, Turn, plain_text

NAME = "Cohere's protocol"
ONLINE = "-internet"
MOST_STOPS = 5
PASSED = ("documents", "citation_options", "safety_mode", "priority")  # Cohere's own members of a chat
RERANK_PASSED = ("max_tokens_per_doc", "priority")
PURPOSES = {Embed.DOCUMENT: "search_document", Embed.QUERY: "search_query"}

_log = logging.getLogger(__name__)


class Cohere(Adapter):
    requests = (Chat, Embeddings, Rerank)

    def takes_url(self, url: str) -> bool:
        return url.startswith(("https://", "http://"))

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        model = job.model.removesuffix(ONLINE)
        if model != job.model and not _is_v1(job):
            _log.info("cohere: web search is withdrawn, %s is served by %s", job.model, model)
        match job.request:
            case Embeddings():
                return posted(job, "/v2/embed", _embed(model, job.request))
            case Rerank():
                return posted(job, "/v2/rerank", rerank_body(model, job.request, RERANK_PASSED))
        chat = chat_of(job.request, NAME)
        if _is_v1(job):
            return posted(job, "/v1/chat", v1_request.body(job.model, chat), stream=chat.stream)
        return posted(job, "/v2/chat", _chat(model, chat), stream=chat.stream)

    def read(self, job: Job, body: bytes) -> Read:
        answer = document(body)
        match job.request:
            case Embeddings():
                return _vectors(answer)
            case Rerank():
                return read_ranking(answer)
        return v1_answer.read_chat(answer) if _is_v1(job) else read_chat(answer)

    def reader(self, job: Job) -> Reader:
        return v1_answer.LegacyReader() if _is_v1(job) else CohereReader()


def _is_v1(job: Job) -> bool:
    return isinstance(job.request, Chat) and job.route.config.get("api_version") == "v1"


def _chat(model: str, chat: Chat) -> Json:
    body: Json = {"model": model, "messages": _messages(chat), "stream": chat.stream}
    figures = {
        "temperature": chat.temperature,
        "p": None if chat.top_p is None else min(max(chat.top_p, 0.01), 0.99),
        "k": None if chat.top_k is None else min(max(chat.top_k, 0), 500),
        "max_tokens": chat.max_tokens,
        "seed": chat.seed,
        "frequency_penalty": chat.frequency_penalty,
        "presence_penalty": chat.presence_penalty,
        "stop_sequences": stops_of(chat, MOST_STOPS, NAME) or None,
    }
    body |= {name: value for name, value in figures.items() if value is not None}
    body |= _tools(chat)
    if chat.output is not None and chat.output.kind != "text":
        body["response_format"] = {"type": "json_object"}
        if chat.output.kind == "schema":
            body["response_format"]["json_schema"] = chat.output.schema or {"type": "object"}
    if (asked := chat.thinking) is not None:
        if asked.effort == "none" or asked.budget == 0:
            body["thinking"] = {"type": "disabled"}
        elif asked.budget is not None and asked.budget > 0:
            body["thinking"] = {"type": "enabled", "token_budget": asked.budget}
    return body | {name: chat.extra[name] for name in PASSED if chat.extra.get(name) is not None}


def _tools(chat: Chat) -> Json:
    """Cohere cannot be told to call one tool: it gets only that one, and must call some tool."""
    choice, tools = chat.tool_choice, chat.tools
    if choice is not None and choice.kind == "named":
        tools = [tool for tool in tools if tool.name == choice.name]
    if not tools:
        return {}
    described = [
        {
            "name": tool.name,
            **({"description": tool.description} if tool.description else {}),
            "parameters": tool.parameters or {"type": "object", "properties": {}},
        }
        for tool in tools
    ]
    members: Json = {"tools": [{"type": "function", "function": function} for function in described]}
    if any(tool.strict for tool in tools):
        members["strict_tools"] = True
    if choice is not None and choice.kind != "auto":
        members["tool_choice"] = "NONE" if choice.kind == "none" else "REQUIRED"
    return members


def _messages(chat: Chat) -> list[Json]:
    system = "\n\n".join(part.text for part in chat.system if part.text)
    messages: list[Json] = [{"role": "system", "content": system}] if system else []
    for turn in chat.turns:
        messages += [_assistant(turn)] if turn.role == "assistant" else _user(turn)
    return messages


def _assistant(turn: Turn) -> Json:
    message: Json = {"role": "assistant"}
    content = plain_text(turn.parts)
    calls = [part for part in turn.parts if isinstance(part, ToolCall)]
    if content or not calls:
        message["content"] = content
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
            for call in calls
        ]
        if plan := "".join(part.text for part in turn.parts if isinstance(part, Thought)):
            message["tool_plan"] = plan
    return message


def _user(turn: Turn) -> list[Json]:
    """The results of tools are messages of their own, and come first."""
    said: list[Part] = [part for part in turn.parts if not isinstance(part, ToolResult)]
    messages: list[Json] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            if any(isinstance(inner, Media) for inner in part.parts):
                raise BadRequest(f"{NAME} takes no media as a tool's result")
            messages.append({"role": "tool", "tool_call_id": part.call_id, "content": plain_text(part.parts)})
    if said or not turn.parts:
        messages.append({"role": "user", "content": _content(said)})
    return messages


def _content(parts: list[Part]) -> str | list[Json]:
    if not any(isinstance(part, Media) for part in parts):
        return plain_text(parts)
    content: list[Json] = []
    for part in parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Media):
            if part.kind != "image":
                raise BadRequest(f"{NAME} takes texts and images only")
            image = {"url": part.url or f"data:{part.mime or 'image/png'};base64,{part.data}"}
            content.append({"type": "image_url", "image_url": image | ({"detail": part.detail} if part.detail else {})})
    return content


def _embed(model: str, request: Embeddings) -> Json:
    body: Json = {
        "model": model,
        "texts": texts_of(request.inputs, NAME),
        "input_type": request.extra.get("input_type") or PURPOSES[request.purpose or Embed.DOCUMENT],
        "embedding_types": ["float"],
    }
    if request.dimensions is not None:
        body["output_dimension"] = request.dimensions
    return body | ({"truncate": request.extra["truncate"]} if "truncate" in request.extra else {})


def _vectors(answer: Json) -> Vectors:
    vectors = mapping(answer.get("embeddings")).get("float")
    if not isinstance(vectors, list) or not all(isinstance(vector, list) for vector in vectors):
        raise UpstreamError("the upstream's answer holds no embeddings", code="bad_response")
    return Vectors(vectors, billed(answer))
