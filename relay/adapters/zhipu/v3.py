"""Zhipu's API v3, which only the withdrawn `chatglm_*` models speak.

Its documentation is gone; relay contract of providers, 3.9 and 4.2. The credential is a JSON web token (RFC 7519) made
of the key, without the word Bearer. Events carry their text raw after `data:`, a leading blank included, and the usage
as JSON after `meta:`.
"""

from __future__ import annotations

import base64
import hmac
from urllib.parse import quote

import orjson

from billing.pricing import Usage
from relay import sse
from relay.adapters.base import Chat, Job, Outgoing, Reader, broken_off
from relay.adapters.shape import Json, chunk, clamped, document, items, mapping, number, text
from relay.adapters.usual import reported, stops_of
from relay.adapters.zhipu.errors import KIND, STATUS
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Counted, Event, Failed, Finished, FinishReason, Started, TextPiece
from relay.neutral.request import Part, Text, plain_text

NAME = "Zhipu's API v3"
WITHDRAWN = "chatglm_"  # what the names of its models begin with
PATH = "/api/paas/v3/model-api/"
LIFE_MS = 24 * 3600 * 1000


def json_web_token(key: str, now_ms: int) -> str:
    """HS256 over the secret of a key "ID.SECRET". Raises UpstreamError: it has another form."""
    key_id, _, secret = key.partition(".")
    if not key_id or not secret:
        raise UpstreamError("the channel's key must have the form ID.SECRET", status=500, code="channel_key_invalid")
    header = {"alg": "HS256", "sign_type": "SIGN", "typ": "JWT"}
    claims = {"api_key": key_id, "exp": now_ms + LIFE_MS, "timestamp": now_ms}
    signed = _base64(orjson.dumps(header)) + b"." + _base64(orjson.dumps(claims))
    return (signed + b"." + _base64(hmac.digest(secret.encode(), signed, "sha256"))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def outgoing(job: Job, chat: Chat, now: float) -> Outgoing:
    """Raises BadRequest. Sampling is all it knows beside the conversation."""
    stops_of(chat, 0, NAME)
    body: Json = {"prompt": _prompt(chat)}
    for name, value in (("temperature", chat.temperature), ("top_p", chat.top_p)):
        if value is not None:
            body[name] = min(max(value, 0.0), 1.0)
    headers = [
        ("Authorization", json_web_token(job.route.key, int(now * 1000))),
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream" if chat.stream else "application/json"),
    ]
    method = "sse-invoke" if chat.stream else "invoke"
    url = f"{job.route.base_url}{PATH}{quote(job.model, safe='')}/{method}"
    return Outgoing("POST", url, headers, orjson.dumps(body))


def _prompt(chat: Chat) -> list[Json]:
    system = "\n".join(part.text for part in chat.system if part.text)
    prompt: list[Json] = [{"role": "system", "content": system}] if system else []
    return prompt + [{"role": turn.role, "content": _text(turn.parts)} for turn in chat.turns]


def _text(parts: list[Part]) -> str:
    if any(not isinstance(part, Text) for part in parts):
        raise BadRequest("this model takes texts only: no tools and no media")
    return plain_text(parts)


def read_chat(body: bytes) -> list[Event]:
    """Raises UpstreamError."""
    answer = document(body)
    if answer.get("success") is not True:
        code = str(number(answer.get("code")))
        raise reported(STATUS.get(code, 500), text(answer.get("msg")), code, KIND)
    data = mapping(answer.get("data"))
    # Contents come quoted once more.
    contents = [text(choice.get("content")).strip('"') for choice in items(data.get("choices"))]
    said = [TextPiece(content) for content in contents if content]
    return [Started(text(data.get("task_id"))), *said, Finished(FinishReason.STOP), *_counted(data)]


def _counted(data: Json) -> list[Event]:
    usage = mapping(data.get("usage"))
    prompt, completion = clamped(usage.get("prompt_tokens")), clamped(usage.get("completion_tokens"))
    return [Counted(Usage(prompt, completion))] if prompt or completion else []


class V3Reader(Reader):
    def __init__(self) -> None:
        self._parser = sse.Parser()
        self._started = self._ended = False

    def feed(self, chunk: bytes) -> list[Event]:
        return [read for event in self._parser.feed(chunk) for read in self._event(event.raw)]

    def close(self) -> list[Event]:
        last = self._parser.close()
        events = self._event(last.raw) if last is not None else []
        return events if self._ended else [*events, broken_off()]

    def _event(self, raw: bytes) -> list[Event]:
        if self._ended:
            return []
        members: dict[str, list[str]] = {}
        for line in raw.decode(errors="replace").splitlines():
            name, _, value = line.partition(":")
            members.setdefault(name, []).append(value)
        events: list[Event] = []
        if not self._started and ("data" in members or "meta" in members):
            self._started = True
            events.append(Started(members.get("id", [""])[0].strip()))
        said = "\n".join(members.get("data", []))
        match members.get("event", ["add"])[0].strip():
            case "error" | "interrupted":
                self._ended = True
                return [Failed(reported(500, said, kind=KIND))]
            case "finish":
                self._ended = True
                meta = chunk(members.get("meta", ["{}"])[0].encode())
                return [*events, Finished(FinishReason.STOP), *_counted(meta)]
        return [*events, TextPiece(said)] if said else events
