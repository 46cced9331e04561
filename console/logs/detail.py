"""One line with all there is to say: what was counted, at what ratios, and what it came to."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.models import Log, LogType

PARTS = {
    "cached": _("of these read from the cache"),
    "cache_write": _("of these written to the cache"),
    "cache_write_long": _("of these written to the cache for an hour"),
    "audio_prompt": _("of these audio"),
    "image_prompt": _("of these images"),
}
COMPLETION_PARTS = {
    "reasoning": _("of these thoughts"),
    "audio_completion": _("of these audio"),
    "image_completion": _("of these images"),
}
RATIOS = re.compile(r"^倍率：(\d+\.\d\d)(?: × (\d+\.\d\d))?(?: × (\d+\.\d\d))?$")
RATIO_NAMES = (_("Ratio of the model"), _("Ratio of the group"), _("Ratio of the completion"))


@dataclass(frozen=True)
class Part:
    """One line of the bill; `part` is indented below the line before."""

    name: str | Promise
    value: str
    part: bool = False


def bill_of(line: Log) -> list[Part]:
    """Tokens with what they consisted of, then the ratios that the line tells. [] for lines that are no charge."""
    if line.type not in (LogType.CONSUME, LogType.TEST) or not (
        line.prompt_tokens or line.completion_tokens or line.quota
    ):
        return []
    told = _details(line)
    bill = [Part(_("Prompt tokens"), str(line.prompt_tokens))]
    bill += [Part(name, str(told[key]), part=True) for key, name in PARTS.items() if key in told]
    bill.append(Part(_("Completion tokens"), str(line.completion_tokens)))
    bill += [Part(name, str(told[key]), part=True) for key, name in COMPLETION_PARTS.items() if key in told]
    ratios = RATIOS.match(line.content)
    if ratios:
        bill += [Part(name, value) for name, value in zip(RATIO_NAMES, ratios.groups(), strict=True) if value]
    return bill


def _details(line: Log) -> dict[str, int]:
    try:
        told = json.loads(line.usage_details or "{}")
    except ValueError:
        return {}
    return {key: value for key, value in told.items() if isinstance(value, int)} if isinstance(told, dict) else {}
