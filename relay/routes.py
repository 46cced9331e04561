"""Which path is which kind of call, in which dialect."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from relay.dialects.anthropic.dialect import AnthropicDialect
from relay.dialects.base import Dialect
from relay.dialects.gemini.dialect import GeminiDialect
from relay.dialects.openai.dialect import OpenAIDialect
from relay.dialects.rerank import RerankDialect
from relay.dialects.responses.dialect import ResponsesDialect
from relay.types import Head, Mode
from telemetry import calls

OPENAI, ANTHROPIC, GEMINI = OpenAIDialect(), AnthropicDialect(), GeminiDialect()
RESPONSES, RERANK = ResponsesDialect(), RerankDialect()


@dataclass(frozen=True, slots=True)
class Asked:
    """`counts`: the tokens of a prompt are asked for, and nothing is generated. `model`: where the path names it."""

    dialect: Dialect
    mode: Mode
    counts: bool = False
    model: str = ""
    path: str = ""  # the path to go on with, where it is not the caller's
    kind: int = field(init=False)  # telemetry.calls.kind

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", calls.kind(self.dialect.name, "count_tokens" if self.counts else self.mode))


CALLS: dict[str, Asked] = {
    "/v1/chat/completions": Asked(OPENAI, Mode.CHAT),
    "/v1/completions": Asked(OPENAI, Mode.COMPLETIONS),
    "/v1/embeddings": Asked(OPENAI, Mode.EMBEDDINGS),
    "/v1/moderations": Asked(OPENAI, Mode.MODERATIONS),
    "/v1/edits": Asked(OPENAI, Mode.EDITS),
    "/v1/images/generations": Asked(OPENAI, Mode.IMAGES),
    "/v1/images/edits": Asked(OPENAI, Mode.IMAGE_EDITS),
    "/v1/images/variations": Asked(OPENAI, Mode.IMAGE_VARIATIONS),
    "/v1/audio/speech": Asked(OPENAI, Mode.SPEECH),
    "/v1/audio/transcriptions": Asked(OPENAI, Mode.TRANSCRIPTION),
    "/v1/audio/translations": Asked(OPENAI, Mode.TRANSLATION),
    "/v1/responses": Asked(RESPONSES, Mode.RESPONSES),
    "/v1/messages": Asked(ANTHROPIC, Mode.CHAT),
    "/v1/messages/count_tokens": Asked(ANTHROPIC, Mode.CHAT, counts=True),
    "/v1/rerank": Asked(RERANK, Mode.RERANK),
    "/v2/rerank": Asked(RERANK, Mode.RERANK),
}
ENGINE = re.compile(r"/v1/engines/(?P<model>.+)/embeddings")
# Google's way: the model and what is to be done stand in the path, and a model's name may hold slashes and colons.
GOOGLE = re.compile(r"/v1(?:alpha|beta)?/(?:models|tunedModels)/.+:(?P<action>\w+)")


def find(path: str) -> Asked | None:
    """What a POST to this path asks for; None: nothing the relay knows."""
    asked = CALLS.get(path)
    if asked is not None:
        return asked
    if engine := ENGINE.fullmatch(path):
        # As the plain route with the model in the body, so that no upstream finds two models to choose from.
        return Asked(OPENAI, Mode.EMBEDDINGS, model=engine["model"], path="/v1/embeddings")
    if google := GOOGLE.fullmatch(path):
        return Asked(GEMINI, Mode.CHAT, counts=google["action"] == "countTokens")
    return None


def dialect_of(path: str) -> Dialect:
    """The dialect an error on this path is told in."""
    asked = find(path)
    if asked is not None:
        return asked.dialect
    if path.startswith("/v1/messages"):
        return ANTHROPIC
    return GEMINI if path.startswith(("/v1beta/", "/v1alpha/")) else OPENAI


def with_key_of_query(head: Head) -> Head:
    """Google's clients may put the key into the address, where ours never leave it."""
    if "key=" in head.query and "x-goog-api-key" not in head.headers:
        head.headers["x-goog-api-key"] = parse_qs(head.query).get("key", [""])[-1]
    return head
