"""What the events of a session tell of tokens: exactly when a response is done, roughly until then.

https://platform.openai.com/docs/api-reference/realtime-server-events. The beta's names of events differ in a word or
two from today's; both are understood. What is not understood is passed on all the same, and tells nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import orjson

from billing.usage import Usage
from config.weight import LIGHT, too_heavy
from relay.adapters.shape import clamped, mapping, text
from relay.credible import credible
from relay.errors import TooLarge
from relay.sizing import PER_IMAGE, tokens_of

Json = dict[str, Any]

log = logging.getLogger(__name__)

# Sound is 10 tokens a second in and 20 out (https://platform.openai.com/docs/guides/realtime-costs); it comes in
# base64, 48,000 bytes a second of PCM or 8,000 of G.711.
WIDE, NARROW = 48_000 * 4 // 3, 8_000 * 4 // 3  # letters of base64 in a second
TOKENS_IN, TOKENS_OUT = 10, 20  # a second


@dataclass(slots=True)
class Spoken:
    """A response under way: bytes of its text and letters of its sound that have come so far."""

    text: int = 0
    sound: int = 0


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the caller said, written down by a model of its own at the session's wish."""

    model: str
    said: str


@dataclass(slots=True)
class Fed:
    """What the caller has sent since the last response: bytes of text, letters of sound, pictures."""

    text: int = 0
    sound: int = 0
    pictures: int = 0


class Heard:
    """Of one session. `under_way` is what is being generated now, by response id."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self.under_way: dict[str, Spoken] = {}
        self._fed = Fed()
        self._context = 0  # tokens of the conversation as the last response left it
        self._wide_in = self._wide_out = True
        self._writer = "whisper-1"  # the model of transcripts

    def say(self, message: str | bytes) -> None:
        """An event of the caller's, which may feed the next response."""
        event = _document(message)
        match event.get("type"):
            case "input_audio_buffer.append":
                self._fed.sound += len(text(event.get("audio")))
            case "input_audio_buffer.clear":
                self._fed.sound = 0
            case "conversation.item.create":
                self._feed(mapping(event.get("item")).get("content"))
            case "session.update" | "response.create":
                self._fed.text += len(message)

    def hear(self, message: str | bytes) -> Usage | Transcript | None:
        """An event of the upstream's, and what is to be paid for at this point: a response that has ended (as far as
        it used anything), or a transcript.
        """
        event = _document(message)
        kind = text(event.get("type"))
        if kind.endswith(".delta"):
            self._speak(text(event.get("response_id")), kind, text(event.get("delta")))
        elif kind == "response.created":
            self.under_way[text(mapping(event.get("response")).get("id"))] = Spoken()
        elif kind in ("session.created", "session.updated"):
            self._hear_session(mapping(event.get("session")))
        elif kind == "response.done":
            return self._end(mapping(event.get("response")))
        elif kind == "conversation.item.input_audio_transcription.completed" and (
            said := text(event.get("transcript"))
        ):
            return Transcript(self._writer, said)
        return None

    def so_far(self) -> Usage | None:
        """Our own count of the responses under way; None when there is none.

        What was said before counts as read from the upstream's cache, as it nearly always is.
        """
        if not self.under_way:
            return None
        second_in, second_out = _letters(self._wide_in), _letters(self._wide_out)
        sound = sum(spoken.sound for spoken in self.under_way.values()) * TOKENS_OUT // second_out
        written = sum(tokens_of(spoken.text) for spoken in self.under_way.values())
        heard = self._fed.sound * TOKENS_IN // second_in
        seen = self._fed.pictures * PER_IMAGE
        return Usage(
            prompt_tokens=self._context + heard + seen + tokens_of(self._fed.text),
            completion_tokens=sound + written,
            estimated=True,
            cached_tokens=self._context,
            audio_prompt_tokens=heard,
            image_prompt_tokens=seen,
            audio_completion_tokens=sound,
        )

    def _feed(self, content: Any) -> None:
        for part in content if isinstance(content, list) else []:
            match part:
                case {"type": "input_image"}:
                    self._fed.pictures += 1
                case {"audio": str(sound)}:
                    self._fed.sound += len(sound)
                case {"text": str(said)}:
                    self._fed.text += len(said.encode(errors="replace"))

    def _speak(self, response_id: str, kind: str, piece: str) -> None:
        if not kind.startswith("response."):
            return  # a transcript of the caller's own words
        spoken = self.under_way.setdefault(response_id, Spoken())
        if kind in ("response.output_audio.delta", "response.audio.delta"):
            spoken.sound += len(piece)
        else:
            spoken.text += len(piece.encode(errors="replace"))

    def _hear_session(self, session: Json) -> None:
        audio = mapping(session.get("audio"))
        listening, speaking = mapping(audio.get("input")), mapping(audio.get("output"))
        self._wide_in = _is_wide(listening.get("format") or session.get("input_audio_format"))
        self._wide_out = _is_wide(speaking.get("format") or session.get("output_audio_format"))
        writing = mapping(listening.get("transcription")) or mapping(session.get("input_audio_transcription"))
        self._writer = text(writing.get("model")) or self._writer

    def _end(self, response: Json) -> Usage | None:
        own = self.so_far()
        response_id = text(response.get("id"))
        spoken = self.under_way.pop(response_id, None)
        usage = read_usage(mapping(response.get("usage")))
        if usage is None:
            # Failed or cancelled without a word of tokens: what was heard of it is what it cost.
            return own if spoken is not None and (spoken.text or spoken.sound) else None
        size = 0 if spoken is None else spoken.text + spoken.sound
        usage, doubt = credible(usage, self._context if own is None else own.prompt_tokens, size, None)
        if doubt:
            log.warning("session %s: usage of a response cannot be true: %s", self._session_id, doubt)
        if response.get("conversation_id", "") is not None:  # None: beside the conversation, which stays as it was
            self._context = usage.prompt_tokens + usage.completion_tokens
            self._fed = Fed()
        return usage


def read_usage(usage: Json) -> Usage | None:
    """What a response.done reports, exactly; None where it reports nothing.

    Cached tokens are told by kind. They cost as cached ones, so only the others are sound or pictures to the bill.
    """
    prompt, completion = clamped(usage.get("input_tokens")), clamped(usage.get("output_tokens"))
    if not prompt and not completion:
        return None
    fed, made = mapping(usage.get("input_token_details")), mapping(usage.get("output_token_details"))
    known = mapping(fed.get("cached_tokens_details"))
    cached = min(clamped(fed.get("cached_tokens")), prompt)
    heard = max(clamped(fed.get("audio_tokens")) - clamped(known.get("audio_tokens")), 0)
    seen = max(clamped(fed.get("image_tokens")) - clamped(known.get("image_tokens")), 0)
    return Usage(
        prompt,
        completion,
        cached_tokens=cached,
        audio_prompt_tokens=min(heard, prompt - cached),
        image_prompt_tokens=min(seen, prompt - cached),
        audio_completion_tokens=min(clamped(made.get("audio_tokens")), completion),
    )


def _document(message: str | bytes) -> Json:
    """Raises TooLarge."""
    if len(message) > LIGHT and too_heavy(message if isinstance(message, bytes) else message.encode()):
        raise TooLarge("an event has too many values, or too long ones, to be read")
    try:
        return mapping(orjson.loads(message))
    except orjson.JSONDecodeError:
        return {}


def _is_wide(form: Any) -> bool:
    """PCM, which is also what a session has that names no format. Today's form is an object, the beta's a text."""
    name = text(form) or text(mapping(form).get("type")) or "pcm"
    return "pcm16" in name or name.endswith("pcm")


def _letters(wide: bool) -> int:
    return WIDE if wide else NARROW
