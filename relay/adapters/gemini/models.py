"""What Gemini models of each generation take: a table, so that a new generation is a row.

Thinking: https://ai.google.dev/gemini-api/docs/thinking and
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking (levels and budgets by model; the two exclude each
other). Signatures: https://ai.google.dev/gemini-api/docs/thought-signatures (enforced from Gemini 3 on).
Functions beside a form: https://ai.google.dev/gemini-api/docs/structured-output (from Gemini 3 on; earlier models say
"Function calling with a response mime type: 'application/json' is unsupported").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Traits:
    """`levels`: takes thinkingLevel, one of these, least first. `budget`: takes thinkingBudget between these figures.

    A model with neither takes no thinkingConfig. `optional`: a budget of 0 turns thinking off. `signed`: a call in the
    history has to carry the signature it came with; such models also tell calls of one name apart by their ids.
    `both`: takes functions and a form of the answer in one request.
    """

    levels: tuple[str, ...] = ()
    budget: tuple[int, int] | None = None
    optional: bool = False
    signed: bool = False
    both: bool = False


ALL = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
FROM_LOW = ("LOW", "MEDIUM", "HIGH")
NEWEST = Traits(FROM_LOW, signed=True, both=True)

# (first generation that has these traits, part of the name's rest, traits); the first row that fits counts.
GENERATIONS: tuple[tuple[tuple[int, int], str, Traits], ...] = (
    ((3, 0), "image", Traits(signed=True, both=True)),
    ((3, 7), "", NEWEST),
    ((3, 1), "pro", NEWEST),
    ((3, 0), "pro", Traits(("LOW", "HIGH"), signed=True, both=True)),
    ((3, 0), "", Traits(ALL, signed=True, both=True)),
    ((2, 5), "image", Traits()),
    ((2, 5), "tts", Traits()),
    ((2, 5), "pro", Traits(budget=(128, 32768))),
    ((2, 5), "flash-lite", Traits(budget=(512, 24576), optional=True)),
    ((2, 5), "", Traits(budget=(1, 24576), optional=True)),
    ((0, 0), "", Traits()),
)
_NAME = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?![\d.])(.*)")
_ALIAS = re.compile(r"gemini-(?:pro|flash|flash-lite)-latest")


@lru_cache(maxsize=1024)
def traits(model: str) -> Traits:
    """Of a model by its name. Other families behind this protocol (Gemma, LearnLM) have no thinking to be set."""
    found = _NAME.search(model.lower())
    if found is None:
        return NEWEST if _ALIAS.search(model.lower()) else Traits()
    version, rest = (int(found[1]), int(found[2] or 0)), found[3]
    return next(having for first, part, having in GENERATIONS if version >= first and part in rest)
