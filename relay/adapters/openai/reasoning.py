"""What models of OpenAI's family take for reasoning, and what the reasoning ones refuse.

https://platform.openai.com/docs/guides/reasoning; budgets behind efforts: providers' contract, 3.2.
"""

from __future__ import annotations

import re
from typing import Any

from channels_app.providers import Provider
from relay.neutral.request import Chat, Thinking

Json = dict[str, Any]

RANKS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
REASONING = re.compile(r"(?:openai/)?(?:o\d|gpt-[5-9]|codex-)")
O_SERIES = re.compile(r"(?:openai/)?o\d")
# The efforts a model knows; the first pattern that matches counts.
LEVELS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (O_SERIES, ("low", "medium", "high")),
    (re.compile(r"(?:openai/)?gpt-5(?:-|$)"), ("minimal", "low", "medium", "high")),
    (re.compile(r"(?:openai/)?gpt-5\.1"), ("none", "low", "medium", "high")),
    (re.compile(r"(?:openai/)?gpt-"), ("none", "low", "medium", "high", "xhigh")),
    (re.compile(r"(?:google/)?gemini-"), ("none", "low", "medium", "high")),
)
REFUSED = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")


def reasons(model: str) -> bool:
    """Whether a model wants `max_completion_tokens` and refuses sampling."""
    return REASONING.match(model) is not None


def members(provider: Provider, model: str, chat: Chat) -> Json:
    """What is wanted of reasoning, in the members this provider knows; {} where it knows none.

    `thinking` (DeepSeek, Doubao, Kimi): {"type"}; `enable_thinking`, `thinking_budget` (Qwen): a switch and tokens;
    else `reasoning_effort`, for models that reason.
    """
    thinking = chat.thinking
    if thinking is None:
        return {}
    wanted: Json = {}
    effort = effort_of(thinking)
    off = effort == "none"
    if "thinking" in provider.knows and (effort or thinking.adaptive or thinking.budget is not None):
        wanted["thinking"] = {"type": "disabled" if off else "enabled"}
    if "enable_thinking" in provider.knows and (effort or thinking.budget is not None):
        wanted["enable_thinking"] = not off
        if thinking.budget is not None and thinking.budget > 0:
            wanted["thinking_budget"] = thinking.budget
    if effort and (reasons(model) or ("reasoning_effort" in provider.knows and not (off and wanted))):
        wanted["reasoning_effort"] = nearest(model, effort)
    return wanted


def effort_of(thinking: Thinking) -> str:
    """The effort that is wanted in words, "" where it is left to the model."""
    if thinking.effort:
        return thinking.effort
    budget = thinking.budget
    if budget is None or budget < 0:
        return ""
    if budget == 0:
        return "none"
    return "low" if budget < 4096 else "medium" if budget < 16384 else "high"


def nearest(model: str, effort: str) -> str:
    """The most a model knows that is not more than what is wanted, else the least it knows."""
    levels = next((levels for pattern, levels in LEVELS if pattern.match(model)), RANKS)
    wanted = RANKS.index(effort) if effort in RANKS else RANKS.index("medium")
    below = [level for level in levels if RANKS.index(level) <= wanted]
    return below[-1] if below else levels[0]


def without_refused(model: str, body: Json) -> Json:
    """Reasoning models answer sampling with an error unless reasoning is off; wishes of another API give way.

    The first of them also refuse to be told how many calls they may make at once.
    """
    if not reasons(model) or body.get("reasoning_effort") == "none":
        return body
    refused = (*REFUSED, "parallel_tool_calls") if O_SERIES.match(model) else REFUSED
    return {name: value for name, value in body.items() if name not in refused}
