"""Gemini's requests, read and checked, and in the neutral form.

https://ai.google.dev/api/generate-content, /api/tokens, /api/embeddings. The model is part of the address; bodies that
name it again (embeddings) are held to the address.
"""

from __future__ import annotations

import re

from relay import splice
from relay.dialects.gemini import count as gemini_count
from relay.dialects.gemini.contents import Conversation, system
from relay.dialects.gemini.members import inner, inners, message
from relay.dialects.gemini.schema import json_schema
from relay.dialects.members import Json, flag, items, mapping, number, refused, text, texts, whole
from relay.errors import NotFound
from relay.neutral.request import (
    Chat,
    Embed,
    Embeddings,
    OutputFormat,
    Thinking,
    Tool,
    ToolChoice,
)
from relay.types import Call, Head, Mode

PATH = re.compile(r"/v1(?:alpha|beta\d?)?/(?P<model>(?:models|tunedModels)/.+):(?P<action>[A-Za-z]+)")
ACTIONS = {
    "generateContent": Mode.CHAT,
    "streamGenerateContent": Mode.CHAT,
    "countTokens": Mode.CHAT,
    "embedContent": Mode.EMBEDDINGS,
    "batchEmbedContents": Mode.EMBEDDINGS,
}
MAX_TOKENS = 1_073_741_823  # the contract's bound of a requested maximum
MOST_CANDIDATES = 8
PURPOSES = {"RETRIEVAL_QUERY": Embed.QUERY, "RETRIEVAL_DOCUMENT": Embed.DOCUMENT}


def action_of(path: str) -> str:
    return path.rpartition(":")[2]


def counts_only(call: Call) -> bool:
    return action_of(call.path) == "countTokens"


def read(head: Head, body: bytes, model_in_path: str = "") -> Call:
    """Raises BadRequest; NotFound for an action there is not."""
    found = PATH.fullmatch(head.path)
    if found is None or found["action"] not in ACTIONS:
        raise NotFound(f"Invalid URL ({head.method} {head.path})")
    action = found["action"]
    raw = splice.parse(body)
    document = message(raw)
    call = Call(
        mode=ACTIONS[action],
        path=head.path,
        query=head.query,
        content_type="application/json",
        accept=head.headers.get("accept", ""),
        body=body,
        document=raw,
        model=(model_in_path or found["model"]).removeprefix("models/"),
        stream=action == "streamGenerateContent",
        shows_usage=True,
    )
    if call.mode is Mode.EMBEDDINGS:
        call.prompt_estimate = gemini_count.estimate_embeddings(embed_requests(document))
    elif action == "countTokens":
        asked = to_count(document)
        _check_contents(asked)
        call.prompt_estimate = gemini_count.estimate(asked)
    else:
        _check_contents(document)
        _read_maximum(call, inner(document, "generationConfig"))
        call.prompt_estimate = gemini_count.estimate(document)
    return call


def to_count(document: Json) -> Json:
    """The request whose tokens are to be counted: inside `generateContentRequest`, or contents alone."""
    return inner(document, "generateContentRequest") if "generateContentRequest" in document else document


def _check_contents(document: Json) -> None:
    if not items(document, "contents"):
        raise refused("contents is required")


def _read_maximum(call: Call, config: Json) -> None:
    maximum, candidates = whole(config, "maxOutputTokens"), whole(config, "candidateCount")
    if maximum is not None and not 0 <= maximum <= MAX_TOKENS:
        raise refused("maxOutputTokens is invalid")
    if candidates is not None and not 1 <= candidates <= MOST_CANDIDATES:
        raise refused("candidateCount is invalid")
    call.times = candidates or 1
    call.max_tokens = maximum * call.times if maximum else None


def embed_requests(document: Json) -> list[Json]:
    """The single requests of a batch, or the one there is. Raises BadRequest."""
    requests = inners(document, "requests") if "requests" in document else [document]
    if not requests or not all(mapping(request, "content") for request in requests):
        raise refused("content is required")
    return requests


def chat(raw: Json, stream: bool = False) -> Chat:
    """A chat to be translated. Raises BadRequest for what only Gemini's own channels can do."""
    document = message(raw)
    if text(document, "cachedContent"):
        raise refused("cachedContent belongs to one Gemini channel; this model's channel speaks another protocol")
    config = inner(document, "generationConfig")
    tools, own = _tools(document)
    choice, names = _choice(inner(inner(document, "toolConfig"), "functionCallingConfig"))
    if names:
        tools = [tool for tool in tools if tool.name in names]
        if not tools:
            raise refused("allowedFunctionNames: no such function")
    if own and not tools and choice and choice.kind == "required":
        raise refused(f"mode ANY, but this model's channel cannot run {', '.join(own)}, which is Gemini's own"[:200])
    return Chat(
        turns=Conversation().read(inners(document, "contents")),
        system=system(document),
        stream=stream,
        tools=tools,
        tool_choice=choice if tools else None,
        max_tokens=whole(config, "maxOutputTokens") or None,
        temperature=number(config, "temperature"),
        top_p=number(config, "topP"),
        top_k=whole(config, "topK"),
        stop=[entry for entry in texts(config, "stopSequences") if entry],
        n=whole(config, "candidateCount"),
        seed=whole(config, "seed"),
        presence_penalty=number(config, "presencePenalty"),
        frequency_penalty=number(config, "frequencyPenalty"),
        logprobs=flag(config, "responseLogprobs"),
        top_logprobs=whole(config, "logprobs"),
        output=_output(config),
        thinking=_thinking(inner(config, "thinkingConfig")),
        extra=_modalities(config),
    )


def _tools(document: Json) -> tuple[list[Tool], list[str]]:
    """(functions, Gemini's own tools). The latter (googleSearch, urlContext …) are left out: a model that
    may use a tool may also do without, and no request can force these. https://ai.google.dev/api/caching#Tool"""
    tools: list[Tool] = []
    own: list[str] = []
    for entry in inners(document, "tools"):
        own += [name for name, value in entry.items() if name != "functionDeclarations" and value is not None]
        tools += [_tool(declaration) for declaration in inners(entry, "functionDeclarations")]
    return tools, own


def _tool(declaration: Json) -> Tool:
    name = text(declaration, "name")
    if not name:
        raise refused("tools: a function without a name")
    schema = mapping(declaration, "parametersJsonSchema")
    if schema is None and (given := mapping(declaration, "parameters")) is not None:
        schema = json_schema(given)
    return Tool(name, text(declaration, "description"), schema)


def _choice(config: Json) -> tuple[ToolChoice | None, list[str]]:
    """(choice, the only functions that may be called; [] for all)."""
    names = texts(config, "allowedFunctionNames")
    match text(config, "mode").upper():
        case "" | "MODE_UNSPECIFIED":
            return None, []
        case "AUTO" | "VALIDATED":
            return ToolChoice("auto"), names
        case "NONE":
            return ToolChoice("none"), []
        case "ANY":
            return (ToolChoice("named", names[0]) if len(names) == 1 else ToolChoice("required")), names
    raise refused("functionCallingConfig: mode must be AUTO, ANY, NONE or VALIDATED")


def _output(config: Json) -> OutputFormat | None:
    kind = text(config, "responseMimeType")
    schema = mapping(config, "responseJsonSchema")
    if schema is None and (given := mapping(config, "responseSchema")) is not None:
        schema = json_schema(given)
    match kind:
        case "application/json":
            return OutputFormat("schema", schema, "response") if schema else OutputFormat("json")
        case "" | "text/plain":
            return OutputFormat("text") if kind else None
    raise refused("responseMimeType: this model's channel answers in text/plain and application/json")


def _thinking(config: Json) -> Thinking | None:
    level = text(config, "thinkingLevel").lower()
    thinking = Thinking(
        "" if level == "thinking_level_unspecified" else level,
        whole(config, "thinkingBudget"),
        flag(config, "includeThoughts"),
    )
    if thinking.effort not in ("", "minimal", "low", "medium", "high", "xhigh"):
        raise refused("thinkingLevel must be MINIMAL, LOW, MEDIUM, HIGH or XHIGH")
    return None if thinking == Thinking() else thinking


def _modalities(config: Json) -> Json:
    """`modalities` is OpenAI's name of it."""
    wanted = [name.lower() for name in texts(config, "responseModalities")]
    return {"modalities": wanted} if set(wanted) - {"text", "modality_unspecified"} else {}


def embeddings(raw: Json) -> Embeddings:
    """Raises BadRequest."""
    requests = embed_requests(message(raw))
    sizes = {whole(request, "outputDimensionality") for request in requests}
    purposes = {text(request, "taskType").upper() for request in requests}
    if len(sizes) > 1 or len(purposes) > 1:
        raise refused("requests: one taskType and one outputDimensionality for all on this model's channel")
    return Embeddings([_embedded(request) for request in requests], sizes.pop(), purpose=PURPOSES.get(purposes.pop()))


def _embedded(request: Json) -> str:
    parts = inners(inner(request, "content"), "parts")
    if not all("text" in part for part in parts):
        raise refused("content: this model's channel embeds text only")
    return "".join(text(part, "text") for part in parts)
