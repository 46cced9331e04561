"""How much a Gemini model is to think: what the caller said, in the words its generation takes.

https://ai.google.dev/gemini-api/docs/openai (efforts low, medium and high stand for budgets of 1,024, 8,192 and
24,576 tokens), https://ai.google.dev/gemini-api/docs/thinking (levels and budgets are never sent together).
"""

from __future__ import annotations

from relay.adapters.gemini.models import Traits
from relay.neutral.request import Json, Thinking

BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 32768}
LEVELS = {"none": 0, "minimal": 0, "low": 1, "medium": 2, "high": 3, "xhigh": 3, "max": 3}  # places in ORDER
ORDER = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
UP_TO = ((0, 0), (1024, 1), (8192, 2))  # a budget up to so many tokens is this place in ORDER


def thinking_config(asked: Thinking | None, having: Traits) -> Json:
    """`thinkingConfig`; {} where the caller wants nothing or the model can be told nothing."""
    if asked is None or not (having.levels or having.budget):
        return {}
    config: Json = {}
    if having.levels:
        if level := _level(asked, having.levels):
            config["thinkingLevel"] = level
    elif (budget := _budget(asked, having)) is not None:
        config["thinkingBudget"] = budget
    if asked.shown is not None:
        config["includeThoughts"] = asked.shown
    return config


def _level(asked: Thinking, levels: tuple[str, ...]) -> str:
    """The nearest the model has; "" leaves it to the model. An effort says more than a budget beside it."""
    if asked.effort in LEVELS:
        place = LEVELS[asked.effort]
    elif asked.budget is not None and asked.budget >= 0:
        budget = asked.budget
        place = next((place for most, place in UP_TO if budget <= most), 3)
    else:
        return ""
    return min(levels, key=lambda level: (abs(ORDER.index(level) - place), -ORDER.index(level)))


def _budget(asked: Thinking, having: Traits) -> int | None:
    """Tokens within the model's bounds; 0 is off, -1 leaves it to the model. A budget outweighs an effort."""
    budget = asked.budget if asked.budget is not None else BUDGETS.get(asked.effort)
    if budget is None or having.budget is None:
        return None
    if budget < 0:
        return -1
    if budget == 0 and having.optional:
        return 0
    least, most = having.budget
    return min(max(budget, least), most)
