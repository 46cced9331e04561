"""Other names a model's price may stand under, nearest first.

A name with a date, a cloud's prefix or a version costs what the plain name costs, where nobody has priced the whole
name. Only what changes no price is taken off. Where each form comes from: dates and `-latest` from OpenAI, Anthropic
and Mistral; `models/` and `publishers/…` from Google's API and Vertex AI; `@20250929` from Claude on Vertex AI;
`us.anthropic.…-v1:0` from Bedrock (docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html);
`anthropic/…` from OpenRouter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_REGION = re.compile(r"^(?:us-gov|us|eu|apac|global|jp|au|ca|amer)\.(?=[a-z0-9]+\.)")
_MAKER = re.compile(
    r"^(?:anthropic|amazon|meta|mistral|cohere|deepseek|qwen|openai|minimax|moonshotai|moonshot|zai|google)\."
)
_FOLDER = re.compile(
    r"^(?:models|publishers/(?:google|anthropic|mistralai)/models|(?:openai|anthropic|google|x-ai|xai|mistralai|deepseek"
    r"|cohere|moonshotai|z-ai|zai-org|zai|qwen|minimax|amazon|groq|vertex_ai|gemini|bedrock)(?=/))/"
)
_ENDINGS = (
    re.compile(r"(?:(?<=\d)-v\d+|-v\d+:\d+|:\d+)$"),  # Bedrock: -v1:0, and -v1 after a number
    re.compile(r"@(?:\d{8}|default|latest)$"),
    re.compile(r"-latest$"),
    re.compile(r"-(?:preview-)?20\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])$"),  # -2025-08-07, -20250929
    re.compile(
        r"-preview-(?:0[1-9]|1[0-2])-(?:20\d\d|0[1-9]|[12]\d|3[01])$"
    ),  # Gemini: -preview-09-2025, -preview-05-06
)
_DOUBAO = re.compile(r"-2\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$")
_DOTTED = re.compile(r"(?<=\d)\.(?=\d)")


def families(model: str) -> Iterator[str]:
    """Shorter and shorter forms of a name, itself not among them. At most a dozen."""
    seen = {model}
    for strip in (_REGION, _MAKER, _FOLDER):
        if (shorter := strip.sub("", model, count=1)) and shorter not in seen:
            seen.add(shorter)
            yield shorter
            model = shorter
    for ending in _ENDINGS:
        if (shorter := ending.sub("", model)) and shorter not in seen:
            seen.add(shorter)
            yield shorter
            model = shorter
    if model.lower().startswith("doubao-") and (shorter := _DOUBAO.sub("", model)) not in seen:
        yield shorter  # doubao-seed-2-1-pro-260915
    if model.startswith("claude-"):  # OpenRouter writes claude-sonnet-4.5 where Anthropic writes claude-sonnet-4-5
        dashed = _DOTTED.sub("-", model)
        if dashed not in seen:
            yield dashed
