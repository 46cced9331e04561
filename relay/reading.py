"""Reading what an OpenAI-speaking upstream answers: the usage in it, errors in it, and the text for our own count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from billing import tokens
from billing.pricing import Usage
from relay.adapters.openai.usage import read_usage
from relay.adapters.shape import MOST_TOKENS
from relay.adapters.vendor_errors import error_in
from relay.charging import TRANSCRIPTS
from relay.dialects.base import Dialect
from relay.dialects.openai.calls import IMAGE_MODES
from relay.errors import UpstreamError
from relay.threads import in_computing_thread
from relay.types import Call, Generated, Mode
from relay.upstream_errors import find_error

COMPACT_AT = 64 * 1024  # bytes of text after which what has come is counted and let go
# Members of `usage` that tell what its tokens consist of; without any of them there is nothing more to read.
DETAILS = frozenset(
    {
        "prompt_tokens_details",
        "completion_tokens_details",
        "input_tokens_details",
        "output_tokens_details",
        "prompt_cache_hit_tokens",
        "cached_tokens",
    }
)


def usage_of(document: dict[str, Any]) -> Usage | None:
    """The usage an answer or a chunk reports, None when it reports none (or only zeros)."""
    usage = document.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if (
        type(prompt) is int
        and type(completion) is int
        and 0 < prompt <= MOST_TOKENS
        and 0 <= completion <= MOST_TOKENS
        and (DETAILS.isdisjoint(usage) or not _tells_details(usage))
    ):
        return Usage(prompt, completion)  # what nearly all report, in a fifth of the steps
    return read_usage(usage)


def _tells_details(usage: dict[str, Any]) -> bool:
    """Whether any detail is not 0: most answers carry them, and say nothing in them."""
    for name in DETAILS:
        found = usage.get(name)
        if any(found.values()) if isinstance(found, dict) else found:
            return True
    return False


def read_json(call: Call, body: bytes) -> Generated:
    """A whole JSON answer. Raises UpstreamError: it is not JSON, or an error inside a 200."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UpstreamError("the upstream's answer is not JSON", code="unmarshal_response_body_failed") from error
    if not isinstance(document, dict):
        raise UpstreamError("the upstream's answer is not a JSON object", code="unmarshal_response_body_failed")
    if not document.get("choices") and not document.get("data"):
        failure = error_in(document)
        if failure is not None:
            raise failure
        if call.mode in IMAGE_MODES:
            raise UpstreamError("the upstream made no image", code="empty_answer")
    generated = Generated(usage=usage_of(document), finished=True)
    if generated.usage is None and call.mode in (Mode.CHAT, Mode.COMPLETIONS, Mode.EDITS):
        for choice in _dicts(document.get("choices")):
            collect(generated, choice.get("message") or choice)
    return generated


class StreamReader:
    """Reads a stream's events one by one; `generated` says what has come so far."""

    def __init__(self, hides_usage: bool) -> None:
        self._hides_usage = hides_usage
        self.generated = Generated()

    def feed(self, data: bytes) -> bool:
        """Take one event's payload; whether the caller is to see it. `[DONE]` is never shown here: it comes last.

        A payload that is no JSON is shown and not counted.
        """
        generated = self.generated
        if data[:1] != b"{" and data.strip() == b"[DONE]":
            generated.finished = generated.done = True
            return False
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            return True
        if not isinstance(document, dict):
            return True
        if text := _piece(document):
            keep(generated, text)
            return True
        choices = document.get("choices")
        usage = usage_of(document) if document.get("usage") else None
        for choice in _dicts(choices):
            if choice.get("finish_reason"):
                generated.finished = True
            collect(generated, choice.get("delta") or choice)
        if usage:
            report(generated, usage)
        if choices and not document.get("error"):
            return True
        generated.error = error_in(document)
        if generated.error is not None:
            return True
        kind = document.get("type")
        if isinstance(kind, str):  # streams of transcripts and images: typed events
            if kind.endswith((".done", ".completed")):
                generated.finished = True
            if isinstance(document.get("delta"), str):
                keep(generated, document["delta"])
        if choices is not None and not choices:
            # OpenAI's usage chunk, or Azure's first one that only names its filters: nothing a caller asked for.
            return bool(usage) and not self._hides_usage
        return True


def _piece(document: dict[str, Any]) -> str:
    """The text of an event that is a piece of one answer and nothing else, as nearly all are; "" of any other."""
    choices = document.get("choices")
    if choices.__class__ is not list or len(choices) != 1 or document.get("usage"):
        return ""
    choice = choices[0]
    if choice.__class__ is not dict or choice.get("finish_reason"):
        return ""
    delta = choice.get("delta")
    if delta.__class__ is not dict or len(delta) != 1:
        return ""
    text = delta.get("content")
    return text if text.__class__ is str else ""


def collect(generated: Generated, part: dict[str, Any]) -> None:
    """Keep all that was generated: text, reasoning, refusals, names and arguments of tool calls."""
    for name in ("content", "reasoning_content", "reasoning", "refusal", "text"):
        value = part.get(name)
        if isinstance(value, str) and value:
            keep(generated, value)
        elif isinstance(value, list):
            for item in _dicts(value):
                if isinstance(item.get("text"), str):
                    keep(generated, item["text"])
    calls = _dicts(part.get("tool_calls"))
    function = part.get("function_call")
    for called in [*(call.get("function") for call in calls), function]:
        if isinstance(called, dict):
            for name in ("name", "arguments"):
                if isinstance(called.get(name), str) and called[name]:
                    keep(generated, called[name])


def keep(generated: Generated, text: str) -> None:
    """Text that was generated and that the upstream has not counted yet."""
    size = len(text) if text.isascii() else len(text.encode(errors="replace"))
    generated.texts.append(text)
    generated.unreported += size
    generated.size += size


def report(generated: Generated, usage: Usage) -> None:
    """Take the upstream's count of what has come so far. Some tell once, at the end, some first or all the time."""
    generated.usage = usage
    generated.texts.clear()
    generated.counted = generated.unreported = 0


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def so_far(call: Call, generated: Generated) -> Usage:
    """A running figure for progress and tranches: by size, without running the tokenizer."""
    usage = generated.usage or Usage(call.prompt_estimate, 0)
    more = generated.counted + tokens.approximate(generated.unreported)
    return Usage(usage.prompt_tokens, usage.completion_tokens + more, estimated=True)


async def compact(model: str, generated: Generated, rough: bool) -> None:
    """Count the text kept so far and let it go, so that a long stream does not live in memory.

    Nothing is let go before it is counted: who is cancelled meanwhile, since the caller left, leaves all to the bill.
    """
    pieces = len(generated.texts)
    counted = await in_computing_thread(_counted, model, "".join(generated.texts), rough)
    del generated.texts[:pieces]
    generated.size = generated.unreported = 0
    generated.counted += counted


def _counted(model: str, text: str, rough: bool) -> int:
    return tokens.approximate(text) if rough else tokens.count_text(model, text)


def own_count(call: Call, dialect: Dialect, model: str, generated: Generated, rough: bool) -> Usage:
    """Our own count of what the upstream has not counted. Blocking (a tokenizer run): call it in a thread."""
    if call.mode in IMAGE_MODES or call.mode is Mode.SPEECH:
        return Usage(0, 0)
    completion = generated.counted + _counted(model, "".join(generated.texts), rough)
    if call.mode in TRANSCRIPTS:
        return Usage(0, completion)
    if generated.usage:
        told = generated.usage.completion_tokens
        return replace(generated.usage, completion_tokens=told + completion, estimated=completion > 0)
    return Usage(dialect.prompt_tokens(call, model, rough=rough), completion, estimated=True)


def transcript(call: Call, body: bytes) -> Generated:
    """The text of a transcription in any of the formats (relay contract, 6.5). Raises UpstreamError."""
    form = str(call.document.get("response_format") or "json")
    text = body.decode(errors="replace")
    if form in ("text", "srt", "vtt"):
        spoken = text if form == "text" else _without_cues(text)
    else:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise UpstreamError("the transcript is not JSON", code="get_text_from_body_err") from error
        found = find_error(document)
        if found:
            raise UpstreamError(found[0], kind=found[1], param=found[2], code=found[3] or "request_error")
        spoken = str(document.get("text") or "") if isinstance(document, dict) else ""
    generated = Generated(finished=True)
    keep(generated, spoken)
    return generated


def _without_cues(text: str) -> str:
    """The spoken lines of SRT or VTT, without numbers, times and the header."""
    lines = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        rows = block.strip().split("\n")
        cue = next((i for i, row in enumerate(rows) if "-->" in row), None)
        if cue is not None:
            lines += rows[cue + 1 :]
    return " ".join(lines)
