"""What the names of DashScope's models tell: which of its interfaces serves them.

https://help.aliyun.com/en/model-studio/qwen-api-via-dashscope, /text-to-image; relay contract of providers, 3.10.
"""

from __future__ import annotations

import re

ONLINE = "-internet"  # the end of a name that asks for web search; not part of the upstream's name
RESOLD = "ali-"  # the beginning of names that other vendors' models have here

# Models that see, hear or speak; of the general ones, those from Qwen 3.5 on.
_MULTIMODAL = re.compile(r"(^|-)(vl|qvq|omni|audio|ocr)(-|$)|^qvq|^qwen3\.[5-9]-(plus|flash)", re.IGNORECASE)
# Models that draw at once; the older ones make a task of it.
_DRAWS_AT_ONCE = re.compile(r"^(qwen-image|z-image|wan2\.[6-9]|wan[3-9])", re.IGNORECASE)


def upstream_name(model: str) -> str:
    name = model.removesuffix(ONLINE)
    return name.removeprefix(RESOLD) if name.startswith(RESOLD + "stable-diffusion") else name


def is_multimodal(model: str) -> bool:
    return _MULTIMODAL.search(model) is not None


def draws_at_once(model: str) -> bool:
    return _DRAWS_AT_ONCE.match(model) is not None
