"""OpenAI's requests, read and checked (relay contract, 3.1 and 8.1).

Only what routing, pricing and the contract's checks need is looked at; everything else is the upstream's business
and travels untouched.
"""

from __future__ import annotations

from typing import Any

from relay import multipart, splice
from relay.errors import BadRequest
from relay.sizing import estimate_prompt
from relay.types import Call, Head, Mode

MAXIMA = frozenset({"max_completion_tokens", "max_tokens"})
MAX_TOKENS = 1_073_741_823  # the contract's bound of a requested maximum
DEFAULT_MODELS = {
    Mode.MODERATIONS: "text-moderation-latest",
    Mode.IMAGES: "dall-e-2",
    Mode.IMAGE_EDITS: "dall-e-2",
    Mode.IMAGE_VARIATIONS: "dall-e-2",
    Mode.TRANSCRIPTION: "whisper-1",
    Mode.TRANSLATION: "whisper-1",
}
IMAGE_MODES = frozenset({Mode.IMAGES, Mode.IMAGE_EDITS, Mode.IMAGE_VARIATIONS})
FORM_MODES = frozenset({Mode.IMAGE_EDITS, Mode.IMAGE_VARIATIONS, Mode.TRANSCRIPTION, Mode.TRANSLATION})


def read(mode: Mode, head: Head, body: bytes, model_in_path: str = "") -> Call:
    """Raises BadRequest with the contract's code and message."""
    content_type = head.headers.get("content-type", "")
    form = None
    if mode in FORM_MODES and content_type.lower().startswith("multipart/form-data"):
        form = multipart.parse(content_type, body)
        document: dict[str, Any] = dict(form.fields)
    else:
        document = splice.parse(body, _code(mode))
        if model_in_path and not document.get("model"):
            body = splice.replace(body, document, {"model": model_in_path})
            document["model"] = model_in_path
    model = document.get("model") or DEFAULT_MODELS.get(mode, "")
    if not isinstance(model, str):
        raise BadRequest("model must be a string", code=_code(mode))
    if not model:
        raise BadRequest("model is required", code=_code(mode))
    call = Call(
        mode=mode,
        path=head.path,
        query=head.query,
        content_type=content_type or "application/json",
        accept=head.headers.get("accept", ""),
        body=body,
        document=document,
        model=model,
        form=form,
    )
    _CHECKS.get(mode, _check_text)(call)
    _read_stream(call)
    call.prompt_estimate = estimate_prompt(call)
    return call


def _code(mode: Mode) -> str:
    if mode in IMAGE_MODES:
        return "invalid_image_request"
    return "invalid_json" if mode is Mode.SPEECH else "invalid_text_request"


def _read_stream(call: Call) -> None:
    stream = call.document.get("stream")
    if call.form is not None:
        stream = {"true": True, "false": False}.get(str(stream or "false").lower(), stream)
    if stream is not None and not isinstance(stream, bool):
        raise BadRequest("stream must be a boolean", code=_code(call.mode))
    call.stream = bool(stream)
    options = call.document.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise BadRequest("stream_options must be an object", code=_code(call.mode))
    call.shows_usage = bool(options and options.get("include_usage"))


def _check_text(call: Call) -> None:
    document = call.document
    maximum = 0
    for name in MAXIMA.intersection(document):
        value = document[name]
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_TOKENS:
            raise BadRequest(f"{name} is invalid", code="invalid_text_request")
        maximum = max(maximum, value)
    choices = document.get("n")
    if choices is not None and (not isinstance(choices, int) or isinstance(choices, bool) or not 1 <= choices <= 1024):
        raise BadRequest("n is invalid", code="invalid_text_request")
    call.times = _completions(call, choices or 1)
    if maximum:
        call.max_tokens = maximum * call.times


def _completions(call: Call, choices: int) -> int:
    """How many completions are generated: the choices, or the `best_of` they are chosen from, for every prompt."""
    if call.mode is not Mode.COMPLETIONS:
        return choices
    prompt, best_of = call.document.get("prompt"), call.document.get("best_of")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * max(choices, best_of if isinstance(best_of, int) else 1)


def _check_chat(call: Call) -> None:
    _check_text(call)
    messages = call.document.get("messages")
    if not messages:
        raise BadRequest("field messages is required", code="invalid_text_request")
    if not isinstance(messages, list) or set(map(type, messages)) != {dict}:
        raise BadRequest("messages must be a list of objects", code="invalid_text_request")


def _check_completions(call: Call) -> None:
    _check_text(call)
    if call.document.get("prompt") == "":
        raise BadRequest("field prompt is required", code="invalid_text_request")


def _check_moderations(call: Call) -> None:
    if call.document.get("input") == "":
        raise BadRequest("field input is required", code="invalid_text_request")


def _check_edits(call: Call) -> None:
    _check_text(call)
    if not call.document.get("instruction"):
        raise BadRequest("field instruction is required", code="invalid_text_request")


def _check_speech(call: Call) -> None:
    text = call.document.get("input")
    if not isinstance(text, str) or not text:
        raise BadRequest("input is required", code="invalid_json")
    if len(text) > 4096:
        raise BadRequest("input is too long (over 4096 characters)", code="text_too_long")


def _check_image(call: Call) -> None:
    """The number and the prompt; size and length depend on the mapped model and are checked with the price."""
    document = call.document
    if call.mode is not Mode.IMAGE_VARIATIONS and not document.get("prompt"):
        raise BadRequest("prompt is required", code="prompt_missing")
    count = document.get("n")
    if call.form is not None and isinstance(count, str):
        count = int(count) if count.isascii() and count.isdigit() and len(count) < 6 else -1
    if count is None:
        count = 1
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise BadRequest("invalid value of n", code="n_not_within_range")
    document["n"] = count if call.form is not None else document.get("n")
    call.max_tokens = count


def _check_nothing(call: Call) -> None:
    """Audio forms: the file and its format are the upstream's to judge."""


_CHECKS = {
    Mode.CHAT: _check_chat,
    Mode.COMPLETIONS: _check_completions,
    Mode.MODERATIONS: _check_moderations,
    Mode.EDITS: _check_edits,
    Mode.SPEECH: _check_speech,
    Mode.IMAGES: _check_image,
    Mode.IMAGE_EDITS: _check_image,
    Mode.IMAGE_VARIATIONS: _check_image,
    Mode.TRANSCRIPTION: _check_nothing,
    Mode.TRANSLATION: _check_nothing,
}
