"""Testing one channel: a small real call to its upstream, and what came of it (relay reference, 11.1 and 11.2).

The call goes straight to the channel: no group, token, forced system prompt or retry is involved, nothing is billed.
Blocking; for the pages, the API and the jobs, never for the hot path.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings

from billing.models import LogType
from billing.services import write_log
from channels_app.models import Channel
from channels_app.services import ChannelMissing
from channels_app.snapshot import BadRow, Route
from channels_app.snapshot import route as stored_route
from relay.adapters.openai import adapter_for
from relay.errors import UpstreamError
from relay.types import Mode
from relay.upstream_errors import find_error, normalise, redact

FAVOURITE = "gpt-3.5-turbo"  # asked for when nobody names a model and the channel lists it (11.1)
FIRST_OF_CHANNEL = ("", "undefined")  # what front ends send for "no model" (front-ends reference, 20)
TIME_LIMIT = 120.0  # seconds of a whole test where RELAY_TIMEOUT sets none
MAX_ANSWER = 16 * 1024 * 1024  # bytes; an image comes as base64
MAX_SHOWN = 1000  # characters of an answer that are told and logged


class Failed(Exception):
    """The channel did not pass; the message is for the operator and holds neither key nor address."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The verdict. `message`: what the model said, or the error. `seconds` is 0.0 on failure, as the contract has it.

    `model` is the name that was tested, before mapping; "" when it did not come that far.
    """

    success: bool
    message: str
    seconds: float
    model: str


@dataclass(frozen=True, slots=True)
class Trial:
    """The request that shows whether a kind of model works, and how its answer is read (raises Failed)."""

    mode: Mode
    path: str
    body: dict[str, Any]
    read: Callable[[httpx.Response, bytes], str]


def test_channel(channel_id: int, model: str | None = None) -> Probe:  # noqa: PT028 (not a test of pytest's)
    """Call the channel once, and record when and how fast it answered. Raises ChannelMissing.

    `model` None: gpt-3.5-turbo where the channel lists exactly that, else its first; "" and "undefined", or a name the
    channel does not list: its first.
    """
    row = Channel.objects.filter(pk=channel_id).values_list("name", "model_names").first()
    if row is None:
        raise ChannelMissing(channel_id)
    name, model_names = row
    tested = choose_model(model_names, model)
    try:
        route = stored_route(channel_id)
        if route is None:
            raise ChannelMissing(channel_id)
        trial, url, headers = _prepared(route, tested)
    except (BadRow, UpstreamError, Failed) as refusal:
        _note(channel_id, 0.0)
        return Probe(False, str(refusal), 0.0, tested)
    began = time.monotonic()
    try:
        reply = _call(route, trial, url, headers)
    except Failed as failure:
        return _verdict(channel_id, name, tested, began, str(failure), success=False)
    return _verdict(channel_id, name, tested, began, reply, success=True)


def choose_model(model_names: str, wanted: str | None) -> str:
    """The model to test: names are compared whole. A channel that lists none is tested with what was asked for."""
    listed = [name for part in model_names.split(",") if (name := part.strip())]
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
    if "embed" in name:
        return Trial(Mode.EMBEDDINGS, "/v1/embeddings", {"model": model, "input": prompt}, _read_embedding)
    if "moderation" in name:
        return Trial(Mode.MODERATIONS, "/v1/moderations", {"model": model, "input": prompt}, _read_moderation)
    if name.startswith(("dall-e", "gpt-image", "cogview", "wanx", "stable-diffusion", "flux", "step-1x")):
        return Trial(Mode.IMAGES, "/v1/images/generations", {"model": model, "prompt": prompt, "n": 1}, _read_image)
    if "turbo-instruct" in name or name in ("davinci-002", "babbage-002"):
        return Trial(Mode.COMPLETIONS, "/v1/completions", {"model": model, "prompt": prompt}, _read_completion)
    body: dict[str, Any]
    if name.startswith("tts-") or "-tts" in name:
        body = {"model": model, "input": prompt, "voice": "alloy"}
        return Trial(Mode.SPEECH, "/v1/audio/speech", body, _read_speech)
    body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    return Trial(Mode.CHAT, "/v1/chat/completions", body, _read_chat)


def _prepared(route: Route, model: str) -> tuple[Trial, str, list[tuple[str, str]]]:
    """(trial, address, headers). Raises Failed or UpstreamError where there is nothing to ask, or no way to."""
    if route.provider.protocol == "proxy":
        raise Failed("a proxy channel has no models to test")
    if not model:
        raise Failed("the channel lists no model to test")
    upstream_model = route.upstream_model(model)
    trial = trial_for(upstream_model)
    adapter = adapter_for(route)
    accept = "audio/*" if trial.mode is Mode.SPEECH else "application/json"
    headers = [("Content-Type", "application/json"), ("Accept", accept), ("User-Agent", "one-api")]
    return trial, adapter.url(route, trial.mode, trial.path, "", upstream_model), [*headers, *adapter.headers(route)]


def _call(route: Route, trial: Trial, url: str, headers: list[tuple[str, str]]) -> str:
    """What the upstream said. Redirects are not followed: they would carry the key to an address nobody chose."""
    limit = float(settings.RELAY_TIMEOUT or TIME_LIMIT)
    timeout = httpx.Timeout(limit, connect=min(limit, float(settings.RELAY_CONNECT_TIMEOUT)))
    proxy = route.proxy or settings.RELAY_PROXY or None
    content = json.dumps(trial.body).encode()
    deadline = time.monotonic() + limit
    try:
        with (
            httpx.Client(proxy=proxy, timeout=timeout, follow_redirects=False) as client,
            client.stream("POST", url, headers=headers, content=content) as response,
        ):
            body = _body(response, deadline)
    except httpx.TimeoutException:
        raise Failed("the upstream did not answer in time") from None
    except httpx.HTTPError as error:
        raise Failed(redact(str(error)) or type(error).__name__) from None
    except (httpx.InvalidURL, ValueError):  # a stored row older than today's checks of address and key
        raise Failed("the base URL, the proxy or the key cannot be used") from None
    if response.status_code != 200:
        message = normalise(response.status_code, body, None).message
        raise Failed(f"http status code: {response.status_code}, error message: {message}")
    return trial.read(response, body)


def _body(response: httpx.Response, deadline: float) -> bytes:
    """The whole body, decompressed. Raises Failed when it is longer than a test needs, or drips past the deadline."""
    read = bytearray()
    for chunk in response.iter_bytes(65536):
        read += chunk
        if len(read) > MAX_ANSWER:
            raise Failed(f"the answer is longer than {MAX_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise Failed("the upstream did not answer in time")
    return bytes(read)


def _verdict(channel_id: int, name: str, model: str, began: float, text: str, *, success: bool) -> Probe:
    elapsed = time.monotonic() - began
    shown = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    shown = shown.replace("\x00", "")
    _note(channel_id, elapsed if success else 0.0)
    content = f"渠道 {name} 测试成功，响应：{shown}" if success else f"渠道 {name} 测试失败，错误：{shown}"
    write_log(
        0, LogType.TEST, content, channel_id=channel_id, model_name=model[:191], elapsed_time=round(elapsed * 1000)
    )
    return Probe(success, shown, round(elapsed, 3) if success else 0.0, model)


def _note(channel_id: int, seconds: float) -> None:
    """No change of routing, so no new version: nothing routes by the time of a test."""
    Channel.objects.filter(pk=channel_id).update(test_time=int(time.time()), response_time=round(seconds * 1000))


def _document(body: bytes) -> dict[str, Any]:
    """The answer as a JSON object; an error object under status 200 is an error all the same."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Failed("the answer is not JSON") from None
    if found := find_error(document):
        raise Failed(redact(found[0]))
    if not isinstance(document, dict):
        raise Failed("the answer is not a JSON object")
    return document


def _first(document: dict[str, Any], member: str) -> dict[str, Any]:
    items = document.get(member)
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        raise Failed(f"response has no {member}")
    return items[0]


def _read_chat(_: httpx.Response, body: bytes) -> str:
    message = _first(_document(body), "choices").get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, str):
        raise Failed("response content is not string")
    return content


def _read_completion(_: httpx.Response, body: bytes) -> str:
    text = _first(_document(body), "choices").get("text")
    if not isinstance(text, str):
        raise Failed("response content is not string")
    return text


def _read_embedding(_: httpx.Response, body: bytes) -> str:
    vector = _first(_document(body), "data").get("embedding")
    if not isinstance(vector, list | str) or not vector:
        raise Failed("response has no embedding")
    return f"embedding of {len(vector)} numbers" if isinstance(vector, list) else "embedding"


def _read_moderation(_: httpx.Response, body: bytes) -> str:
    return "flagged" if _first(_document(body), "results").get("flagged") else "not flagged"


def _read_image(_: httpx.Response, body: bytes) -> str:
    image = _first(_document(body), "data")
    if not image.get("url") and not image.get("b64_json"):
        raise Failed("response has no image")
    return "one image"


def _read_speech(response: httpx.Response, body: bytes) -> str:
    if "json" in response.headers.get("content-type", ""):
        _document(body)
        raise Failed("response is not audio")
    if not body:
        raise Failed("response is empty")
    return f"audio of {len(body)} bytes"
