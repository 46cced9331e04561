"""What an upstream generates. A stream is these events one by one; a whole answer is the same events at once.

Order: `Started` first; then text, thoughts and calls as they come; `Finished` once per choice; `Counted` may come at
any time, each replacing the one before (figures are cumulative). After `Failed` nothing follows.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from billing.pricing import Usage
from relay.errors import UpstreamError

Json = dict[str, Any]


class FinishReason(Enum):
    """Values are OpenAI's words."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Started:
    """`id` as the upstream named the answer, with whatever prefix the dialects of its kind use; "" lets us make one."""

    id: str = ""
    created: int = 0  # Unix seconds; 0: now


@dataclass(frozen=True, slots=True)
class TextPiece:
    text: str
    choice: int = 0
    signature: str = ""


@dataclass(frozen=True, slots=True)
class ThoughtPiece:
    """A piece of reasoning. A signature may come alone, after the text it signs; so may a `redacted` block."""

    text: str = ""
    signature: str = ""
    redacted: str = ""
    choice: int = 0


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A tool call begins. `index` counts the calls of one choice from 0."""

    index: int
    id: str
    name: str
    choice: int = 0
    signature: str = ""


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A fragment of the JSON text of call `index`'s arguments."""

    index: int
    fragment: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class RefusalPiece:
    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Cited:
    """`annotation` in OpenAI's form: {"type": "url_citation", "url_citation": {url, title, start_index, end_index}}."""

    annotation: Json
    choice: int = 0


@dataclass(frozen=True, slots=True)
class MediaPiece:
    """A picture or sound in the answer, whole, base64."""

    mime: str
    data: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Entries of OpenAI's `logprobs.content` list."""

    entries: list[Json]
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    reason: FinishReason
    choice: int = 0
    stop_sequence: str = ""  # the one that was met, where the upstream tells


@dataclass(frozen=True, slots=True)
class Counted:
    usage: Usage


@dataclass(frozen=True, slots=True)
class Failed:
    """The upstream reported an error in the middle of its answer, or inside a 200."""

    error: UpstreamError


Event = (
    Started
    | TextPiece
    | ThoughtPiece
    | CallStarted
    | CallPiece
    | RefusalPiece
    | Cited
    | MediaPiece
    | Logprobs
    | Finished
    | Counted
    | Failed
)


@dataclass(slots=True)
class Called:
    id: str
    name: str
    arguments: str = ""
    signature: str = ""


@dataclass(slots=True)
class Choice:
    """One completion, whole. `pieces` keeps thoughts, text and media in their order; calls are in `calls`."""

    index: int
    text: str = ""
    thought: str = ""
    thoughts: list[ThoughtPiece] = field(default_factory=list)  # with their signatures, one for each block
    refusal: str = ""
    calls: list[Called] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    media: list[MediaPiece] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    finish: FinishReason | None = None
    stop_sequence: str = ""


@dataclass(slots=True)
class Answer:
    """A whole chat answer, folded from its events."""

    id: str
    created: int
    choices: list[Choice]
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Vectors:
    """Embeddings in the order of the inputs; a vector is floats, or base64 of little-endian floats."""

    vectors: list[list[float] | str]
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """`results`: (index of the document, relevance score), best first."""

    results: list[tuple[int, float]]
    usage: Usage | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One of `url` and `data` (base64) is set."""

    url: str = ""
    data: str = ""
    revised_prompt: str = ""


@dataclass(frozen=True, slots=True)
class Pictures:
    pictures: list[Picture]
    created: int = 0
    usage: Usage | None = None


def new_id(prefix: str) -> str:
    """An id for an answer or a call whose upstream gave none: "chatcmpl-", "call_", "msg_" and 24 random characters."""
    return prefix + secrets.token_hex(12)


def fold(events: Iterable[Event]) -> Answer:
    """The whole answer. Raises the error of a `Failed` event."""
    answer = Answer("", 0, [])
    choices: dict[int, Choice] = {}
    for event in events:
        match event:
            case Started():
                answer.id, answer.created = event.id, event.created
            case Counted():
                answer.usage = event.usage
            case Failed():
                raise event.error
            case _:
                choice = choices.get(event.choice)
                if choice is None:
                    choice = choices[event.choice] = Choice(event.choice)
                _add(choice, event)
    answer.id = answer.id or new_id("chatcmpl-")
    answer.created = answer.created or int(time.time())
    answer.choices = [choices[index] for index in sorted(choices)]
    return answer


def _add(choice: Choice, event: Event) -> None:
    match event:
        case TextPiece():
            choice.text += event.text
        case ThoughtPiece():
            choice.thought += event.text
            _add_thought(choice.thoughts, event)
        case CallStarted():
            choice.calls.append(Called(event.id, event.name, signature=event.signature))
        case CallPiece():
            choice.calls[event.index].arguments += event.fragment
        case RefusalPiece():
            choice.refusal += event.text
        case Cited():
            choice.annotations.append(event.annotation)
        case MediaPiece():
            choice.media.append(event)
        case Logprobs():
            choice.logprobs += event.entries
        case Finished():
            choice.finish, choice.stop_sequence = event.reason, event.stop_sequence


def _add_thought(blocks: list[ThoughtPiece], piece: ThoughtPiece) -> None:
    """A block ends with its signature; a redacted one is a block of its own."""
    last = blocks[-1] if blocks else None
    if last is None or last.signature or last.redacted or piece.redacted:
        blocks.append(piece)
    else:
        blocks[-1] = ThoughtPiece(last.text + piece.text, piece.signature, choice=piece.choice)
