"""Usage that cannot be true is brought down to what could be, before anybody is charged by it.

The upstream's figures decide a charge, also where they are far above our own estimate: that is right for honest
providers, and a hole for a broken or hostile one that reports 10^9 tokens for "hello". The bounds here lie far above
everything an honest provider can have counted, and so bound what one call can take from a balance:

* **Prompt**: PROMPT_TIMES x the estimate + PROMPT_MORE. The estimate is by bytes (0.38 tokens a byte; pictures 1,105,
  files 2,000 tokens each), so a text rarely has more than its double: no known tokenizer makes more than one token of
  a byte, which is 2.63 times. The rest is what we do not see: system prompts a provider adds (Claude Code's behind a
  subscription: 20,000 tokens and more), tool preambles, search results and documents that tools of the provider itself
  read (a search adds tens of thousands), files by id or address, hours of sound or video in one part (Gemini: 32 tokens
  a second of sound, 300 of video), and earlier turns kept upstream (`previous_response_id`). All of it has to fit
  the largest context window sold, 2,000,000 tokens today. Tools that run several rounds upstream count the prompt anew
  each round; ROUNDS of them are let pass for small prompts, too.
* **Completion**: what was asked for (`max_tokens`, already times the number of choices) and what was seen (one token
  for each byte of the answer is the most there can be), the larger of the two, + COMPLETION_MORE for thoughts that are
  not shown. Thoughts count inside `max_tokens` at OpenAI, Anthropic and Google, and where they do not (providers
  that bound only the visible part) they stay within the 128,000 to 384,000 tokens that the longest models may
  generate at all. Where nothing was seen (None: the answer was not ours to read) and nothing asked, the
  allowance alone holds.
* **Parts** (cached tokens and the like) are never more than what they are part of.

Figures below 0 count as 0. So a lie is bounded by a constant: at most PROMPT_MORE and COMPLETION_MORE tokens more than
could be true, of one call.
"""

from __future__ import annotations

from dataclasses import replace

from billing.pricing import Usage

PROMPT_TIMES = 4
ROUNDS = 4
PROMPT_MORE = ROUNDS * 2_000_000
COMPLETION_MORE = 512 * 1024

_OF_PROMPT = (
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_long_tokens",
    "audio_prompt_tokens",
    "image_prompt_tokens",
)
_OF_COMPLETION = ("reasoning_tokens", "audio_completion_tokens", "image_completion_tokens")


def credible(
    usage: Usage, prompt_estimate: int, generated_bytes: int | None, max_tokens: int | None
) -> tuple[Usage, str]:
    """The usage, brought down where it cannot be true, and why in words for the log; "" where it was left as it is.

    `prompt_estimate`: tokens by size (relay.sizing). `generated_bytes`: UTF-8 bytes of all that was generated, None
    where they were not read. `max_tokens`: what the caller asked for at most, all completions together.
    """
    prompt_bound = PROMPT_TIMES * max(prompt_estimate, 0) + PROMPT_MORE
    completion_bound = max(generated_bytes or 0, max_tokens or 0) + COMPLETION_MORE
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    reasons = []
    if not 0 <= prompt <= prompt_bound:
        reasons.append(f"{prompt} prompt tokens told, {min(max(prompt, 0), prompt_bound)} believed")
    if not 0 <= completion <= completion_bound:
        reasons.append(f"{completion} completion tokens told, {min(max(completion, 0), completion_bound)} believed")
    prompt, completion = min(max(prompt, 0), prompt_bound), min(max(completion, 0), completion_bound)
    wrong = {}
    for names, whole in ((_OF_PROMPT, prompt), (_OF_COMPLETION, completion)):
        for name in names:
            told = getattr(usage, name)
            if not 0 <= told <= whole:
                wrong[name] = min(max(told, 0), whole)
    if not reasons and not wrong:
        return usage, ""
    if wrong and not reasons:
        reasons.append(f"{', '.join(sorted(wrong))} outside of what they are part of")
    return replace(usage, prompt_tokens=prompt, completion_tokens=completion, **wrong), "; ".join(reasons)
