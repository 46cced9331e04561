"""What a call must hold before it starts and what it costs when it is done, for every kind of call.

Formulas: relay contract, section 6, in decimals (`billing.pricing`); docs/pricing.md has examples.
"""

from __future__ import annotations

from typing import NamedTuple

from billing import pricing
from billing.images import upstream_name
from billing.pricing import Usage
from options.registry import Options
from relay.dialects.openai.calls import IMAGE_MODES
from relay.errors import BadRequest
from relay.types import Attempt, Call, Mode

TRANSCRIPTS = frozenset({Mode.TRANSCRIPTION, Mode.TRANSLATION})
TRANCHE = 4096  # completion tokens a stream holds at first, and by which it grows
ASSUMED = 4096  # completion tokens a plain call without a maximum is taken to cost, where the balance bears it


class Need(NamedTuple):
    """Points a call should hold, and the least it can start with."""

    amount: int
    least: int


def need(call: Call, attempt: Attempt, options: Options) -> Need:
    """What the call can cost. Raises BadRequest when an image request does not fit its model."""
    price = attempt.price
    assumed = options["PreConsumedQuota"]
    if call.mode in IMAGE_MODES:
        cost = image_cost(call, attempt)
        return Need(cost, cost)
    if call.mode is Mode.SPEECH:
        cost = pricing.speech_charge(price, call.document["input"])
        return Need(cost, cost)
    if call.mode in TRANSCRIPTS:
        cost = pricing.text_cost(price, assumed, 0)
        return Need(cost, cost)
    if call.mode is Mode.REALTIME:  # the hold grows with the first response, not before
        cost = pricing.text_cost(price, 0, max(assumed, 1))
        return Need(cost, cost)
    prompt = call.prompt_estimate
    if call.mode in (Mode.EMBEDDINGS, Mode.RERANK, Mode.MODERATIONS):
        return Need(pricing.text_cost(price, generous(prompt), 0), pricing.least_cost(price, prompt, 0))
    maximum = call.max_tokens
    likely = min(maximum or TRANCHE, TRANCHE) if call.stream else maximum or max(ASSUMED, assumed)
    at_least = assumed if maximum is None else min(maximum, assumed)
    return Need(pricing.text_cost(price, generous(prompt), likely), pricing.least_cost(price, prompt, at_least))


def generous(prompt_estimate: int) -> int:
    """A prompt estimate with room for what providers add around it, so that a hold rarely falls short."""
    return prompt_estimate + prompt_estimate // 4 + 16


def affordable(call: Call, attempt: Attempt, held: int) -> int | None:
    """Tokens of each completion that `held` points pay for, or None where no maximum has to be lowered."""
    price = attempt.price
    per_token = price.dearest_completion_token
    if not per_token:
        return None
    tokens = int((held - pricing.least_cost(price, call.prompt_estimate, 0)) / per_token)
    return max(1, tokens // call.times)


def image_cost(call: Call, attempt: Attempt, made: int | None = None) -> int:
    """`made`: pictures the upstream is known to have made; those that were asked for and not made cost nothing."""
    document = call.document
    size = str(document.get("size") or "1024x1024")
    count = call.max_tokens or 1
    prompt = document.get("prompt")
    if call.mode is Mode.IMAGES:
        problem = pricing.image_problem(attempt.model, prompt if isinstance(prompt, str) else "", size, count)
        if problem:
            raise BadRequest(problem[1], code=problem[0])
    if made is not None:
        count = min(count, made)
    return pricing.image_charge(attempt.price, attempt.model, size, str(document.get("quality") or ""), count)


def charge(call: Call, attempt: Attempt, usage: Usage, pictures: int | None = None) -> int:
    """Points a finished call costs; `usage` is what it used (for a transcript: its tokens as completion).

    `pictures`: how many were made, where that is known.
    """
    if call.mode in IMAGE_MODES:
        return image_cost(call, attempt, pictures)
    if call.mode is Mode.SPEECH:
        return pricing.speech_charge(attempt.price, call.document["input"])
    if call.mode in TRANSCRIPTS:
        return pricing.transcription_charge(attempt.price, usage.completion_tokens)
    return pricing.text_charge(attempt.price, usage)


def logged_model(call: Call, attempt: Attempt) -> str:
    return upstream_name(attempt.model) if call.mode in IMAGE_MODES else attempt.model
