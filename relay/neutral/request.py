"""What a caller asks for, whichever dialect it came in.

Whatever a dialect can say and several protocols understand has a place here. What only one family of upstreams knows
stays in `extra`, under its name in OpenAI's API, and goes to upstreams of that family only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import orjson

Json = dict[str, Any]


@dataclass(slots=True)
class Text:
    """`cache`: Anthropic's `cache_control` object, kept for upstreams that know it."""

    text: str
    cache: Json | None = None
    signature: str = ""  # Gemini's thought signature of a text part


@dataclass(slots=True)
class Media:
    """A picture, a sound or a file. Exactly one of `url` (http, https, gs) and `data` (base64) is set."""

    kind: Literal["image", "audio", "video", "file"]
    url: str = ""
    data: str = ""
    mime: str = ""  # "image/png"; may be empty beside a URL
    name: str = ""  # a file's name
    detail: str = ""  # OpenAI's "low", "high", "auto"
    cache: Json | None = None


@dataclass(slots=True)
class Thought:
    """Reasoning of an earlier turn. `redacted` is Anthropic's encrypted form; then `text` is empty."""

    text: str = ""
    signature: str = ""
    redacted: str = ""


@dataclass(slots=True)
class ToolCall:
    """`arguments`: JSON text as it was generated, perhaps not valid; `load_arguments` makes an object of it."""

    id: str
    name: str
    arguments: str
    signature: str = ""  # Gemini's thought signature
    cache: Json | None = None


@dataclass(slots=True)
class ToolResult:
    """`name` is the called tool's name, looked up from the call it answers ("" when there is none)."""

    call_id: str
    name: str
    parts: list[Text | Media]
    failed: bool = False
    cache: Json | None = None


Part = Text | Media | Thought | ToolCall | ToolResult


@dataclass(slots=True)
class Turn:
    """One side's say. Tool results are the user's side. Neighbouring turns of one role are allowed."""

    role: Literal["user", "assistant"]
    parts: list[Part]
    name: str = ""


@dataclass(slots=True)
class Tool:
    name: str
    description: str = ""
    parameters: Json | None = None  # JSON schema of the arguments' object
    strict: bool | None = None
    cache: Json | None = None


@dataclass(slots=True)
class ToolChoice:
    """`kind` "named": exactly the tool `name` must be called."""

    kind: Literal["auto", "none", "required", "named"]
    name: str = ""


@dataclass(slots=True)
class OutputFormat:
    """`schema` is set for kind "schema" only."""

    kind: Literal["text", "json", "schema"]
    schema: Json | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


@dataclass(slots=True)
class Thinking:
    """What the caller wants of reasoning. Any of the three may be absent.

    `effort`: none, minimal, low, medium, high, xhigh, max. `budget`: tokens; 0 is off, -1 leaves it to the model.
    """

    effort: str = ""
    budget: int | None = None
    shown: bool | None = None  # the caller wants to read the thoughts
    adaptive: bool = False  # Anthropic's {"type": "adaptive"}


@dataclass(slots=True)
class Chat:
    """A conversation to go on with. Absent figures are None: an upstream's own default applies."""

    turns: list[Turn]
    system: list[Text] = field(default_factory=list)
    stream: bool = False
    tools: list[Tool] = field(default_factory=list)
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] = field(default_factory=list)
    n: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    output: OutputFormat | None = None
    thinking: Thinking | None = None
    user: str = ""
    extra: Json = field(default_factory=dict)  # further members of OpenAI's request, as they came


class Embed(Enum):
    """What an embedding is for, where an upstream wants to know."""

    DOCUMENT = "document"
    QUERY = "query"


@dataclass(slots=True)
class Embeddings:
    """`inputs` are texts, or lists of token ids of which only some upstreams can make sense."""

    inputs: list[str | list[int]]
    dimensions: int | None = None
    encoding: Literal["float", "base64"] = "float"
    purpose: Embed | None = None
    user: str = ""
    extra: Json = field(default_factory=dict)


@dataclass(slots=True)
class Rerank:
    query: str
    documents: list[str]
    top_n: int | None = None
    return_documents: bool = False
    extra: Json = field(default_factory=dict)


@dataclass(slots=True)
class Images:
    """Pictures to be made. `size` as "1024x1024"; `encoding` is what the caller wants back."""

    prompt: str
    n: int = 1
    size: str = ""
    quality: str = ""
    style: str = ""
    encoding: Literal["", "url", "b64_json"] = ""
    user: str = ""
    extra: Json = field(default_factory=dict)


Request = Chat | Embeddings | Rerank | Images


def load_arguments(text: str) -> Json:
    """A tool call's arguments as an object. Text that is none is kept, under `arguments`."""
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"arguments": text}
    return value if isinstance(value, dict) else {"arguments": text}


def plain_text(parts: list[Text] | list[Text | Media] | list[Part]) -> str:
    """All text of the parts, joined without a separator; other parts are left out."""
    return "".join(part.text for part in parts if isinstance(part, Text))


def joined(turns: list[Turn]) -> list[Turn]:
    """Neighbouring turns of one role as one, for upstreams that insist on alternation; works on copies."""
    result: list[Turn] = []
    for turn in turns:
        if result and result[-1].role == turn.role:
            result[-1] = Turn(turn.role, [*result[-1].parts, *turn.parts], result[-1].name)
        else:
            result.append(Turn(turn.role, list(turn.parts), turn.name))
    return result
