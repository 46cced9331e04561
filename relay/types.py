"""What travels between the steps of a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from accounts.callers import Caller
from billing.pricing import Price, Usage
from channels_app.snapshot import Route
from relay.errors import RelayError

__all__ = ["Attempt", "Call", "Caller", "Head", "Mode", "Price", "Route", "Usage"]


class Mode(StrEnum):
    """What a call asks for; the value is the name used by the providers' table."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"
    REALTIME = "realtime"
    RERANK = "rerank"
    MODERATIONS = "moderations"
    EDITS = "edits"
    IMAGES = "images"
    IMAGE_EDITS = "image_edits"
    IMAGE_VARIATIONS = "image_variations"
    SPEECH = "audio_speech"
    TRANSCRIPTION = "audio_transcription"
    TRANSLATION = "audio_translation"


@dataclass(slots=True)  # not frozen: that would cost each call more than all of its fields
class Head:
    """A request's head. `raw_path` and `query` as sent, `headers` by lower-case name, `ip` the caller's address."""

    method: str
    path: str
    raw_path: str
    query: str
    headers: dict[str, str]
    ip: str


@dataclass(slots=True)
class Call:
    """One request, read. `body` are the caller's bytes; `document` is what was parsed out of them (JSON or form)."""

    mode: Mode
    path: str  # "/v1/chat/completions"
    query: str
    content_type: str
    accept: str
    body: bytes
    document: dict[str, Any]
    model: str
    stream: bool = False
    shows_usage: bool = False  # the caller asked for the usage chunk of a stream
    max_tokens: int | None = None  # the requested maximum of completion tokens, all completions together
    times: int = 1  # completions the upstream generates: choices, best_of, prompts of one request
    prompt_estimate: int = 0  # tokens, by size; what a hold is computed from
    form: Any = None  # relay.multipart.Form of a multipart body
    headers: Mapping[str, str] = field(default_factory=dict)  # the caller's, by lower-case name
    ip: str = ""  # the caller's
    needs_native: str = ""  # the member that asks for what no translation can do: what only an upstream keeps
    continues: str = ""  # id of the response, kept by an upstream, that this call goes on from


@dataclass(slots=True)
class Attempt:
    """One try on one channel, built fresh each time so that nothing leaks from the channel before."""

    route: Route
    model: str  # the upstream's name of the model, after mapping
    price: Price
    sent: bool = False  # the request has gone out: its prompt costs, whoever leaves now
    asks_usage: bool = False  # we added stream_options.include_usage
    system_prompt_reset: bool = False
    max_tokens: int | None = None  # a lower maximum than the caller's, when the balance bears no more


@dataclass(slots=True)
class Generated:
    """What an upstream has produced so far, as far as a bill needs it."""

    usage: Usage | None = None  # as the upstream counted it, up to its last report
    texts: list[str] = field(default_factory=list)  # that no report has covered yet
    counted: int = 0  # tokens of such texts already counted and let go
    unreported: int = 0  # UTF-8 bytes of those that have not been counted
    size: int = 0  # UTF-8 bytes of all text since it was last counted
    finished: bool = False  # a finish reason, a closing event or [DONE] was seen
    done: bool = False  # [DONE] itself was seen
    pictures: int | None = None  # that were made, where the upstream tells which of those asked for were not
    kept_as: str = ""  # the id under which the upstream keeps the answer, if it does
    error: RelayError | None = None  # what the upstream reported in the middle of its answer
