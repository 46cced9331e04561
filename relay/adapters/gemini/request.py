"""Neutral requests as the bodies of Gemini's API.

https://ai.google.dev/api/generate-content, /api/embeddings; relay contract of providers, 3.3. Vertex AI serves the
same chat body under other addresses and takes `body` as it is.
"""

from __future__ import annotations

from dataclasses import replace

from relay.adapters.base import Chat, Embeddings, Job
from relay.adapters.gemini.models import traits
from relay.adapters.gemini.parts import contents, text_part
from relay.adapters.gemini.schema import parameters, response
from relay.adapters.gemini.thinking import thinking_config
from relay.adapters.shape import mapping, text, texts
from relay.adapters.told_form import with_form_told
from relay.adapters.usual import stops_of
from relay.errors import BadRequest
from relay.google_options import safety_threshold
from relay.neutral.request import Embed, Json, OutputFormat, Tool, ToolChoice

HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}
MOST_STOPS = 5
MODALITIES = frozenset({"text", "image", "audio"})
PURPOSES = {Embed.DOCUMENT: "RETRIEVAL_DOCUMENT", Embed.QUERY: "RETRIEVAL_QUERY"}


def body(job: Job) -> Json:
    """The body of generateContent and streamGenerateContent. Raises BadRequest."""
    chat = job.request
    if not isinstance(chat, Chat):
        raise BadRequest("this is no chat")
    having = traits(job.model)
    if chat.tools and not having.both:
        chat = replace(with_form_told(chat), output=None)
    document: Json = {}
    system = [part for entry in chat.system for part in text_part(entry)]
    spoken = contents(chat.turns, having)
    if spoken and system:
        document["systemInstruction"] = {"parts": system}
    elif system:
        spoken = [{"role": "user", "parts": system}]  # instructions alone are no conversation upstream
    if not spoken:
        raise BadRequest("the conversation holds nothing that Gemini's protocol could send")
    document["contents"] = spoken
    if threshold := safety_threshold():
        document["safetySettings"] = [{"category": f"HARM_CATEGORY_{harm}", "threshold": threshold} for harm in HARMS]
    if chat.tools:
        document["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in chat.tools]}]
        if chat.tool_choice is not None:
            document["toolConfig"] = {"functionCallingConfig": _choice(chat.tool_choice)}
    config = _sampling(chat) | _output(chat.output) | _modalities(chat)
    if thinks := thinking_config(chat.thinking, having):
        config["thinkingConfig"] = thinks
    if config:
        document["generationConfig"] = config
    cached = text(mapping(mapping(chat.extra.get("extra_body")).get("google")).get("cached_content"))
    return {**document, "cachedContent": cached} if cached else document


def _declaration(tool: Tool) -> Json:
    declaration: Json = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    return declaration | parameters(tool.parameters)


def _choice(choice: ToolChoice) -> Json:
    config: Json = {"mode": MODES[choice.kind]}
    return {**config, "allowedFunctionNames": [choice.name]} if choice.kind == "named" else config


def _sampling(chat: Chat) -> Json:
    config: Json = {
        "temperature": chat.temperature,
        "topP": chat.top_p,
        "topK": chat.top_k,
        "maxOutputTokens": chat.max_tokens,
        "stopSequences": stops_of(chat, MOST_STOPS, "Gemini's protocol") or None,
        "candidateCount": chat.n if chat.n is not None and chat.n > 1 else None,
        "seed": chat.seed,
        "presencePenalty": chat.presence_penalty,
        "frequencyPenalty": chat.frequency_penalty,
        "responseLogprobs": chat.logprobs or None,
        "logprobs": chat.top_logprobs if chat.logprobs else None,
    }
    return {name: value for name, value in config.items() if value is not None}


def _output(output: OutputFormat | None) -> Json:
    if output is None or output.kind == "text":
        return {}
    config: Json = {"responseMimeType": "application/json"}
    return config | response(output.schema) if output.schema else config


def _modalities(chat: Chat) -> Json:
    """OpenAI's `modalities` beyond text: a model that makes pictures is told to make them."""
    wanted = [name.lower() for name in texts(chat.extra.get("modalities"))]
    if not set(wanted) - {"text"}:
        return {}
    if unknown := set(wanted) - MODALITIES:
        raise BadRequest(f"modalities: Gemini's protocol has no {min(unknown)}"[:200])
    return {"responseModalities": [name.upper() for name in wanted]}


def embeddings_body(job: Job) -> Json:
    """The body of batchEmbedContents. Raises BadRequest: token numbers mean nothing to Gemini."""
    asked = job.request
    if not isinstance(asked, Embeddings):
        raise BadRequest("these are no embeddings")
    common: Json = {"model": model_path(job.model)}
    if asked.purpose is not None:
        common["taskType"] = PURPOSES[asked.purpose]
    if asked.dimensions is not None:
        common["outputDimensionality"] = asked.dimensions
    requests = []
    for entry in asked.inputs:
        if not isinstance(entry, str):
            raise BadRequest("Gemini's protocol embeds texts, not token numbers")
        requests.append({**common, "content": {"parts": [{"text": entry}]}})
    return {"requests": requests}


def model_path(model: str) -> str:
    """A model's resource name: "gemini-2.5-flash" is "models/gemini-2.5-flash", "tunedModels/x" stays."""
    return model if "/" in model else f"models/{model}"
