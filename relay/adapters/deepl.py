"""DeepL: the last message is translated, into the language the model's name ends in.

https://developers.deepl.com/api-reference/translate; relay contract of providers, 3.16. DeepL has no streams; a caller
who wants one gets the whole translation as one piece. It bills characters: as in the contract, a translation counts
the UTF-8 bytes of its text as prompt and nothing as completion.
"""

from __future__ import annotations

from billing.pricing import Usage
from relay.adapters.base import Adapter, Job, Outgoing, Outside, Reader, broken_off
from relay.adapters.shape import Json, document, items, text
from relay.adapters.usual import chat_of, posted, stops_of
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Counted, Event, Failed, Finished, FinishReason, Started, TextPiece
from relay.neutral.request import Chat, plain_text
from relay.sse import MAX_EVENT, EventTooLong

NAME = "DeepL"
FREE, PAID = "https://api-free.deepl.com", "https://api.deepl.com"
DEFAULT_TARGET = "ZH"
PASSED = ("source_lang", "formality", "glossary_id", "context", "model_type", "tag_handling", "preserve_formatting")


class DeepL(Adapter):
    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        chat = chat_of(job.request, NAME)
        if chat.tools:
            raise BadRequest(f"{NAME} translates and calls no tools")
        if chat.output is not None and chat.output.kind != "text":
            raise BadRequest(f"{NAME} answers in plain text alone")
        stops_of(chat, 0, NAME)
        body: Json = {"text": [_last_text(chat)], "target_lang": target(job.model)}
        body |= {name: chat.extra[name] for name in PASSED if chat.extra.get(name) is not None}
        outgoing = posted(job, "/v2/translate", body, scheme="DeepL-Auth-Key")
        outgoing.url = _address(job) + "/v2/translate"
        return outgoing

    def read(self, job: Job, body: bytes) -> list[Event]:
        translations = items(document(body).get("translations"))
        if not translations:
            raise UpstreamError("the upstream's answer holds no translation", code="bad_response")
        said = _last_text(chat_of(job.request, NAME))
        return [
            Started(),
            TextPiece("".join(text(translation.get("text")) for translation in translations)),
            Finished(FinishReason.STOP),
            Counted(Usage(len(said.encode()), 0)),
        ]

    def reader(self, job: Job) -> Reader:
        return WholeReader(self, job)


class WholeReader(Reader):
    """Reads an answer without stream for a caller who asked for one."""

    def __init__(self, adapter: Adapter, job: Job) -> None:
        self._adapter, self._job = adapter, job
        self._body = b""

    def feed(self, chunk: bytes) -> list[Event]:
        self._body += chunk
        if len(self._body) > MAX_EVENT:
            raise EventTooLong
        return []

    def close(self) -> list[Event]:
        if not self._body:
            return [broken_off()]
        try:
            events = self._adapter.read(self._job, self._body)
        except UpstreamError as error:
            return [Failed(error)]
        assert isinstance(events, list)  # of a chat
        return events


def target(model: str) -> str:
    """ "deepl-zh": ZH, "deepl-en-US": EN-US; a name without a language means Chinese."""
    return model.partition("-")[2].upper() or DEFAULT_TARGET


def _last_text(chat: Chat) -> str:
    for turn in reversed(chat.turns):
        if said := plain_text(turn.parts):
            return said
    raise BadRequest("there is no text to translate")


def _address(job: Job) -> str:
    """Keys of the free plan end in ":fx" and are good at its own address only; any other address is the operator's."""
    base = job.route.base_url
    if base not in (FREE, PAID):
        return base
    return FREE if job.route.key.endswith(":fx") else PAID
