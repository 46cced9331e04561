"""How much a Claude model is to think: what the caller said, in the words its generation takes.

https://platform.claude.com/docs/en/build-with-claude/thinking: budgets of at least 1,024 tokens and below max_tokens
for older models, {"type": "adaptive"} with an effort for newer ones; no thinking beside a forced tool.
"""

from __future__ import annotations

from relay.adapters.anthropic.models import Traits
from relay.neutral.request import Chat, Json, Part, Thinking, Thought, ToolCall, ToolResult, Turn

LEAST = 1024  # tokens of a budget
# Together with an answer they fit into the 32,000 tokens that are the most Opus 4 generates.
BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
USUAL = "medium"  # where a caller wants thinking and says nothing of how much
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}


def think(chat: Chat, having: Traits, max_tokens: int, forced: bool, turns: list[Turn]) -> Json:
    """The members `thinking` and `output_config`, or neither.

    `forced`: a tool has to be called. What was asked of the tools or the history outweighs what was asked of thinking.
    """
    asked = chat.thinking
    if asked is None or asked.effort == "none":
        return {}
    members: Json = {}
    effort = _effort(asked, having)
    if effort:
        members["output_config"] = {"effort": effort}
    if asked.budget == 0 or forced or not _begins(asked):
        return members
    if having.adaptive and (asked.adaptive or not having.budget or not (asked.budget and asked.budget > 0)):
        members["thinking"] = {"type": "adaptive"}
    elif having.budget:
        budget = _budget(asked, max_tokens, capped=chat.max_tokens is not None)
        if budget < LEAST or (having.signs and in_unsigned_loop(turns)):
            return members
        members["thinking"] = {"type": "enabled", "budget_tokens": budget}
    else:
        return members
    if asked.shown is not None and having.adaptive:
        members["thinking"]["display"] = "summarized" if asked.shown else "omitted"
    return members


def _begins(asked: Thinking) -> bool:
    """An effort alone, of a caller who does not want to read thoughts, is no wish for thinking: effort is more."""
    return asked.adaptive or asked.budget is not None or asked.shown is not False


def _effort(asked: Thinking, having: Traits) -> str:
    """The nearest effort the model has, "" for its own default. A budget counts where the model takes none."""
    wanted = EFFORTS.get(asked.effort, "")
    if not wanted and asked.budget is not None and asked.budget > 0 and not having.budget:
        wanted = next(name for name in ("high", "medium", "low") if asked.budget >= BUDGETS[name] or name == "low")
    if not having.efforts or not wanted:
        return ""
    return wanted if wanted in having.efforts else having.efforts[-1] if wanted == "max" else "high"


def _budget(asked: Thinking, max_tokens: int, capped: bool) -> int:
    """Tokens. A budget the caller named is kept as far as it goes; ours leaves room for the answer."""
    if asked.budget is not None and asked.budget > 0:
        return min(max(asked.budget, LEAST), max_tokens - 1) if capped else max(asked.budget, LEAST)
    budget = BUDGETS.get(asked.effort, BUDGETS[USUAL])
    return min(budget, max(LEAST, max_tokens * 4 // 5), max_tokens - 1) if capped else budget


def in_unsigned_loop(turns: list[Turn]) -> bool:
    """Whether the conversation stands between a call and its answer without the signed thought that led to the call.

    With a budget, such a history is refused upstream; callers whose dialect cannot carry signatures send it always.
    """
    if not turns or not any(isinstance(part, ToolResult) for part in turns[-1].parts):
        return False
    before = turns[-2].parts if len(turns) > 1 else []
    return any(isinstance(part, ToolCall) for part in before) and not _signed(before)


def _signed(parts: list[Part]) -> bool:
    return bool(parts) and isinstance(parts[0], Thought) and bool(parts[0].signature or parts[0].redacted)
