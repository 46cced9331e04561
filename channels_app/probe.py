"""Testing one channel: a small real call to its upstream, and what came of it (relay reference, 11.1 and 11.2).

The call goes straight to the channel: no group, token, forced system prompt or retry is involved, nothing is billed.
Blocking; for the pages, the API and the jobs, never for the hot path.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from billing.models import LogType
from billing.services import write_log
from channels_app import faults, outgoing
from channels_app.models import Channel, Outcome
from channels_app.outgoing import CallFailed, Received
from channels_app.services import ChannelMissing
from channels_app.snapshot import BadRow, Route
from channels_app.snapshot import route as stored_route
from relay import trial as relay_trial
from relay.adapters.openai.channels import ADAPTERS as OPENAI_ADAPTERS
from relay.adapters.openai.channels import OpenAI
from relay.errors import BadRequest, UpstreamError
from relay.types import Mode
from relay.upstream_errors import find_error, normalise, redact

FAVOURITE = "gpt-3.5-turbo"  # asked for when nobody names a model and the channel lists it (11.1)
FIRST_OF_CHANNEL = ("", "undefined")  # what front ends send for "no model" (front-ends reference, 20)
TIME_LIMIT = 120.0  # seconds of a whole test where RELAY_TIMEOUT sets none
MAX_ANSWER = 16 * 1024 * 1024  # bytes; an image comes as base64
VECTORS = ("bge-", "gte-", "m3e-", "tao-8k")  # models that make them without "embed" in the name
PICTURES = (
    *("dall-e", "gpt-image", "cogview", "wanx", "stable-diffusion", "flux", "step-1x", "qwen-image", "ideogram"),
    *("recraft", "doubao-seedream"),
)
MAX_SHOWN = 1000  # characters of an answer that are told and logged


class Failed(Exception):
    """The channel did not pass; the message is for the operator and holds neither key nor address.

    `error`: what the upstream answered, where it did (type, code, status; relay.errors).
    """

    def __init__(self, message: str, error: UpstreamError | None = None) -> None:
        super().__init__(message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Probe:
    """The verdict. `message`: what the model said, or the error. `seconds` is 0.0 on failure, as the contract has it.

    `model` is the name that was tested, before mapping; "" when it did not come that far. `elapsed`: seconds the call
    took, however it ended, 0.0 where there was none. `refused`: the upstream refuses the account (channels_app.faults).
    """

    success: bool
    message: str
    seconds: float
    model: str
    elapsed: float = field(default=0.0, compare=False)
    refused: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Trial:
    """The request that shows whether a kind of model works, and how its answer is read (raises Failed)."""

    mode: Mode
    path: str
    body: dict[str, Any]
    read: Callable[[Received], str]


Exchange = Callable[[float], Received]  # seconds it may take -> the answer; raises CallFailed, Failed


def test_channel(
    channel_id: int,
    model: str | None = None,  # noqa: PT028 (not a test of pytest's)
    *,
    limit: float | None = None,  # noqa: PT028
) -> Probe:
    """Call the channel once, and record when, how well and how fast it answered. Raises ChannelMissing.

    `model` None: gpt-3.5-turbo where the channel lists exactly that, else its first; "" and "undefined", or a name the
    channel does not list: its first. Where nobody names one, the channel's own test model comes before these.
    `limit`: seconds it may take; in such a test, one of many, a failure's time is a `response_time` too.
    """
    row = Channel.objects.filter(pk=channel_id).values_list("name", "model_names", "test_model").first()
    if row is None:
        raise ChannelMissing(channel_id)
    name, model_names, test_model = row
    tested = choose_model(model_names, model, test_model)
    try:
        route = stored_route(channel_id)
        if route is None:
            raise ChannelMissing(channel_id)
        trial, exchange = _prepared(route, tested)
    except (BadRow, UpstreamError, BadRequest, Failed) as refusal:
        _note(channel_id, 0.0, 0.0, success=False)
        return Probe(False, str(refusal), 0.0, tested)
    began = time.monotonic()
    error: UpstreamError | None = None
    try:
        longest = float(settings.RELAY_TIMEOUT or TIME_LIMIT)
        reply, success = trial.read(exchange(longest if limit is None else min(limit, longest))), True
    except CallFailed as failure:
        reply, success = str(failure), False
    except Failed as failure:
        reply, success, error = str(failure), False, failure.error
    elapsed = time.monotonic() - began
    shown = _told(channel_id, name, tested, elapsed, reply, success=success)
    _note(channel_id, elapsed, elapsed if success or limit is not None else 0.0, success=success)
    seconds = round(elapsed, 3) if success else 0.0
    refused = error is not None and faults.refuses_account(route.type, error)
    return Probe(success, shown, seconds, tested, elapsed=elapsed, refused=refused)


def choose_model(model_names: str, wanted: str | None, stored: str = "") -> str:
    """The model to test: names are compared whole. A channel that lists none is tested with what was asked for.

    `stored`: the channel's own choice, which counts while the channel lists it and nobody asks for another.
    """
    listed = [name for part in model_names.split(",") if (name := part.strip())]
    if stored in listed and (wanted is None or wanted in FIRST_OF_CHANNEL):
        return stored
    if not listed:
        return "" if wanted is None or wanted in FIRST_OF_CHANNEL else wanted
    favourite = FAVOURITE if wanted is None else wanted
    return favourite if favourite in listed else listed[0]


def trial_for(model: str) -> Trial:
    """What to ask a model of this (upstream) name. Raises Failed for kinds that cannot be tested by text."""
    name = model.rsplit("/", 1)[-1].lower()
    prompt = settings.TEST_PROMPT
    if "whisper" in name or "transcribe" in name:
        raise Failed("a transcription model cannot be tested by text")
    if "rerank" in name:
        return Trial(Mode.RERANK, "/v1/rerank", {"model": model, "query": prompt, "documents": [prompt]}, _read_ranking)
    if "embed" in name or name.startswith(VECTORS):
        return Trial(Mode.EMBEDDINGS, "/v1/embeddings", {"model": model, "input": prompt}, _read_embedding)
    if "moderation" in name:
        return Trial(Mode.MODERATIONS, "/v1/moderations", {"model": model, "input": prompt}, _read_moderation)
    if name.startswith(PICTURES):
        return Trial(Mode.IMAGES, "/v1/images/generations", {"model": model, "prompt": prompt, "n": 1}, _read_image)
    if "turbo-instruct" in name or name in ("davinci-002", "babbage-002"):
        return Trial(Mode.COMPLETIONS, "/v1/completions", {"model": model, "prompt": prompt}, _read_completion)
    body: dict[str, Any]
    if name.startswith("tts-") or "-tts" in name:
        body = {"model": model, "input": prompt, "voice": "alloy"}
        return Trial(Mode.SPEECH, "/v1/audio/speech", body, _read_speech)
    body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    return Trial(Mode.CHAT, "/v1/chat/completions", body, _read_chat)


def _prepared(route: Route, model: str) -> tuple[Trial, Exchange]:
    """Raises Failed, BadRequest or UpstreamError where there is nothing to ask, or no way to."""
    if route.provider.protocol == "proxy":
        raise Failed("a proxy channel has no models to test")
    if not model:
        raise Failed("the channel lists no model to test")
    trial = trial_for(route.upstream_model(model))
    if (channels := OPENAI_ADAPTERS.get(route.provider.protocol)) is not None:
        return trial, _as_it_is(channels, route, trial)
    relay_trial.adapter_of(route, trial.path)
    return trial, _translated(route, trial, model)


def _as_it_is(channels: OpenAI, route: Route, trial: Trial) -> Exchange:
    """To an upstream that speaks OpenAI's own protocol. Raises UpstreamError: it has nothing like it."""
    accept = "audio/*" if trial.mode is Mode.SPEECH else "application/json"
    headers = [("Content-Type", "application/json"), ("Accept", accept), ("User-Agent", "one-api")]
    headers += channels.headers(route)
    url = channels.url(route, trial.mode, trial.path, "", trial.body["model"])
    content = json.dumps(trial.body).encode()

    def exchange(limit: float) -> Received:
        received = outgoing.call("POST", url, headers, content, proxy=route.proxy, limit=limit, most=MAX_ANSWER)
        if received.status != 200:
            raise _refused(normalise(received.status, received.body, None))
        return received

    return exchange


def _translated(route: Route, trial: Trial, model: str) -> Exchange:
    """To an upstream of another protocol."""

    def exchange(limit: float) -> Received:
        try:
            body = relay_trial.ask(route, trial.path, trial.body, model, limit=limit, most=MAX_ANSWER)
        except UpstreamError as error:
            raise _refused(error) from None
        except BadRequest as error:
            raise Failed(error.message) from None
        return Received(200, "application/json", body)

    return exchange


def _refused(error: UpstreamError) -> Failed:
    """With the status, where the upstream answered with one that is an error's."""
    told = f"http status code: {error.answered}, error message: " if error.answered not in (0, 200) else ""
    return Failed(told + error.message, error)


def _told(channel_id: int, name: str, model: str, elapsed: float, text: str, *, success: bool) -> str:
    """Write the log row; returns the text as it is shown."""
    shown = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    shown = shown.encode("utf-8", "replace").decode().replace("\x00", "")  # JSON may hold half a character
    content = f"渠道 {name} 测试成功，响应：{shown}" if success else f"渠道 {name} 测试失败，错误：{shown}"
    write_log(
        0, LogType.TEST, content, channel_id=channel_id, model_name=model[:191], elapsed_time=round(elapsed * 1000)
    )
    return shown


def _note(channel_id: int, elapsed: float, told: float, *, success: bool) -> None:
    """No change of routing, so no new version: nothing routes by the time of a test. `told`: as the contract has it."""
    Channel.objects.filter(pk=channel_id).update(
        test_time=int(time.time()),
        response_time=round(told * 1000),
        test_outcome=Outcome.PASSED if success else Outcome.FAILED,
        test_milliseconds=round(elapsed * 1000),
    )


def _document(received: Received) -> dict[str, Any]:
    """The answer as a JSON object; an error object under status 200 is an error all the same."""
    document = received.document()
    if found := find_error(document):
        message, kind, _, code = found
        error = UpstreamError(redact(message), kind=kind, code=code)
        error.answered, error.structured = 200, True
        raise Failed(error.message, error)
    if not isinstance(document, dict):
        raise Failed("the answer is not a JSON object")
    return document


def _first(document: dict[str, Any], member: str) -> dict[str, Any]:
    items = document.get(member)
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        raise Failed(f"response has no {member}")
    return items[0]


def _read_chat(received: Received) -> str:
    message = _first(_document(received), "choices").get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, str):
        raise Failed("response content is not string")
    return content


def _read_completion(received: Received) -> str:
    text = _first(_document(received), "choices").get("text")
    if not isinstance(text, str):
        raise Failed("response content is not string")
    return text


def _read_embedding(received: Received) -> str:
    vector = _first(_document(received), "data").get("embedding")
    if not isinstance(vector, list | str) or not vector:
        raise Failed("response has no embedding")
    return f"embedding of {len(vector)} numbers" if isinstance(vector, list) else "embedding"


def _read_ranking(received: Received) -> str:
    score = _first(_document(received), "results").get("relevance_score")
    if not isinstance(score, int | float):
        raise Failed("response has no relevance score")
    return f"relevance {score:.3f}"


def _read_moderation(received: Received) -> str:
    return "flagged" if _first(_document(received), "results").get("flagged") else "not flagged"


def _read_image(received: Received) -> str:
    image = _first(_document(received), "data")
    if not image.get("url") and not image.get("b64_json"):
        raise Failed("response has no image")
    return "one image"


def _read_speech(received: Received) -> str:
    if "json" in received.content_type:
        _document(received)
        raise Failed("response is not audio")
    if not received.body:
        raise Failed("response is empty")
    return f"audio of {len(received.body)} bytes"
