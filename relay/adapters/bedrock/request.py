"""A neutral conversation as the body of Bedrock's Converse API, which every chat model there understands.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html (what goes to one family of models only);
relay contract of providers, 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from relay.adapters.anthropic.models import Traits, traits
from relay.adapters.anthropic.request import JSON_ONLY
from relay.adapters.anthropic.schema import closed
from relay.adapters.anthropic.thinking import think
from relay.adapters.base import Job
from relay.adapters.bedrock.blocks import Blocks
from relay.adapters.shape import Json, mapping
from relay.adapters.usual import chat_of
from relay.errors import BadRequest
from relay.neutral.request import Chat, Thinking, ToolCall, ToolResult, Turn, joined

NAME = "Bedrock"
# Converse's own members a caller may send along.
PASSED = ("guardrailConfig", "performanceConfig", "promptVariables", "requestMetadata", "serviceTier")
# Betas of Anthropic that Bedrock knows; any other name is answered with 400.
# https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
BETAS = frozenset(
    {
        "computer-use-2024-10-22",
        "computer-use-2025-01-24",
        "computer-use-2025-11-24",
        "token-efficient-tools-2025-02-19",
        "output-128k-2025-02-19",
        "interleaved-thinking-2025-05-14",
        "dev-full-thinking-2025-05-14",
        "fine-grained-tool-streaming-2025-05-14",
        "context-1m-2025-08-07",
        "context-management-2025-06-27",
        "tool-search-tool-2025-10-19",
        "tool-examples-2025-10-29",
        "effort-2025-11-24",
    }
)
NOVA_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
OSS_EFFORTS = {"none": "low", "minimal": "low", "low": "low", "medium": "medium", "high": "high"}
CHOICES: dict[str, Json] = {"auto": {"auto": {}}, "required": {"any": {}}}


@dataclass(frozen=True, slots=True)
class Family:
    """`top_k`: where the parameter goes in the family's own fields; () for families that have none."""

    marks: tuple[str, ...]
    top_k: tuple[str, ...] = ()
    caches: bool = False
    signed: bool = False  # its thoughts are signed and wanted back


CLAUDE = Family(("anthropic.", "claude"), ("top_k",), caches=True, signed=True)
NOVA = Family(("amazon.nova", "nova-"), ("inferenceConfig", "topK"), caches=True)
GPT_OSS = Family(("openai.gpt-oss", "gpt-oss"))
OTHER = Family(())
FAMILIES = (CLAUDE, NOVA, GPT_OSS, Family(("mistral",), ("top_k",)), Family(("cohere.", "command-"), ("k",)))


def family(*names: str) -> Family:
    """By the upstream's id or, where that is an ARN that tells nothing, by the name the caller used."""
    for name in names:
        for known in FAMILIES:
            if any(mark in name.lower() for mark in known.marks):
                return known
    return OTHER


def body(job: Job, model: str) -> Json:
    """Raises BadRequest: something that Converse has no form for."""
    chat = chat_of(job.request, NAME)
    kin = family(model, job.asked_model)
    having = traits(model if "claude" in model.lower() else job.asked_model)
    blocks = Blocks(kin.caches, kin.signed)
    document: Json = {"messages": _messages(chat, blocks)}
    if system := _system(chat, blocks, kin is CLAUDE and having.schemas):
        document["system"] = system
    fields = _fields(job, chat, kin, having)
    if limits := _limits(chat, kin, having, "thinking" in fields):
        document["inferenceConfig"] = limits
    if tools := _tools(chat, blocks):
        document["toolConfig"] = tools
    if chat.output is not None and chat.output.kind == "schema" and kin is CLAUDE and having.schemas:
        document["outputConfig"] = _schema(chat)
    if fields:
        document["additionalModelRequestFields"] = fields
    return document | {name: chat.extra[name] for name in PASSED if isinstance(chat.extra.get(name), dict)}


def _messages(chat: Chat, blocks: Blocks) -> list[Json]:
    """Strictly by turns; one that is empty is left out, and its neighbours become one."""
    kept = [Turn(turn.role, [part for part in turn.parts if blocks.takes(part)]) for turn in chat.turns]
    turns = joined([turn for turn in kept if turn.parts])
    messages: list[Json] = [{"role": turn.role, "content": blocks.of(turn.parts)} for turn in turns]
    if not messages:
        raise BadRequest("messages: at least one message of a user or an assistant is required")
    last = [block for block in messages[-1]["content"] if "cachePoint" not in block][-1]
    if messages[-1]["role"] == "assistant" and "text" in last:
        last["text"] = last["text"].rstrip()  # it is gone on with, and may not end in white space
    return messages


def _system(chat: Chat, blocks: Blocks, takes_schema: bool) -> list[Json]:
    system: list[Json] = []
    for part in chat.system:
        if part.text.strip():
            system += [{"text": part.text}, *blocks.cache_point(part.cache)]
    if chat.output is not None and chat.output.kind == "json":
        system.append({"text": JSON_ONLY})
    elif chat.output is not None and chat.output.kind == "schema" and not takes_schema:
        schema = orjson.dumps(chat.output.schema or {}).decode()
        system.append({"text": f"{JSON_ONLY} It has to match this JSON schema: {schema}"})
    return system


def _schema(chat: Chat) -> Json:
    assert chat.output is not None
    described: Json = {"schema": orjson.dumps(closed(chat.output.schema or {"type": "object"})).decode()}
    described |= {"name": chat.output.name} if chat.output.name else {}
    described |= {"description": chat.output.description} if chat.output.description else {}
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": described}}}


def _limits(chat: Chat, kin: Family, having: Traits, thinks: bool) -> Json:
    """Claude takes less of the sampling parameters, the newer its generation, and least while it thinks."""
    limits: Json = {}
    if chat.max_tokens is not None:
        limits["maxTokens"] = chat.max_tokens
    bound = kin is CLAUDE
    if chat.temperature is not None and not (bound and (thinks or not having.sampling)):
        limits["temperature"] = min(max(chat.temperature, 0), 1)  # OpenAI's scale ends at 2
    if (
        chat.top_p is not None
        and not (bound and not (having.sampling and (having.both or "temperature" not in limits)))
        and not (bound and thinks and chat.top_p < 0.95)
    ):
        limits["topP"] = min(max(chat.top_p, 0), 1)
    stops = [stop for stop in chat.stop if stop.strip()]
    if stops:
        limits["stopSequences"] = stops
    return limits


def _tools(chat: Chat, blocks: Blocks) -> Json:
    """There is no choice "none": tools are left out then, but never under a history that has calls in it."""
    choice = chat.tool_choice
    called = _called(chat.turns)
    if choice is not None and choice.kind == "none" and not called:
        return {}
    tools: list[Json] = []
    for tool in chat.tools:
        described = {"description": tool.description} if tool.description else {}
        schema = {"type": "object", **(tool.parameters or {"properties": {}})}
        tools.append({"toolSpec": {"name": tool.name, **described, "inputSchema": {"json": schema}}})
        tools += blocks.cache_point(tool.cache)
    if not tools:  # the caller has taken them away
        tools = [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in called]
        return {"tools": tools} if tools else {}
    if choice is None or choice.kind == "none":
        return {"tools": tools}
    return {"tools": tools, "toolChoice": CHOICES.get(choice.kind) or {"tool": {"name": choice.name}}}


def _called(turns: list[Turn]) -> list[str]:
    """The names of the tools in the conversation, each once."""
    parts = [part for turn in turns for part in turn.parts if isinstance(part, ToolCall | ToolResult)]
    return list(dict.fromkeys(part.name or "tool" for part in parts))


def _fields(job: Job, chat: Chat, kin: Family, having: Traits) -> Json:
    """What only the model's family knows."""
    fields: Json = dict(mapping(chat.extra.get("additionalModelRequestFields")))
    asked = chat.thinking
    if kin is CLAUDE:
        forced = bool(chat.tools) and chat.tool_choice is not None and chat.tool_choice.kind in ("required", "named")
        fields = think(chat, having, chat.max_tokens or 0, forced, joined(chat.turns)) | fields
        if known := known_betas(job):
            fields.setdefault("anthropic_beta", known)
    elif kin is NOVA and asked is not None and (effort := NOVA_EFFORTS.get(asked.effort)):
        fields.setdefault("reasoningConfig", {"type": "enabled", "maxReasoningEffort": effort})
    elif kin is GPT_OSS and asked is not None and (effort := _oss_effort(asked)):
        fields.setdefault("reasoning_effort", effort)
    takes_top_k = kin is not CLAUDE or (having.sampling and "thinking" not in fields)
    if chat.top_k is not None and chat.top_k > 0 and kin.top_k and takes_top_k:
        _put(fields, kin.top_k, chat.top_k)
    return fields


def known_betas(job: Job) -> list[str]:
    """The caller's betas of Anthropic, as far as Bedrock knows them."""
    betas = [beta.strip() for beta in job.caller_headers.get("anthropic-beta", "").split(",")]
    return [beta for beta in betas if beta in BETAS]


def _oss_effort(asked: Thinking) -> str:
    return OSS_EFFORTS.get(asked.effort, "high" if asked.effort in ("xhigh", "max") else "")


def _put(fields: Json, path: tuple[str, ...], value: int) -> None:
    for name in path[:-1]:
        fields[name] = dict(mapping(fields.get(name)))
        fields = fields[name]
    fields.setdefault(path[-1], value)
