"""What Claude models of each generation take: a table, so that a new generation is a row.

https://platform.claude.com/docs/en/build-with-claude/effort (thinking types, efforts),
https://platform.claude.com/docs/models/opus-5-5/migration-guide (sampling, thinking that is always on),
https://platform.claude.com/docs/en/build-with-claude/structured-outputs,
https://platform.claude.com/docs/en/about-claude/models/overview ("Max output" of each model).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Traits:
    """`budget`: takes {"type": "enabled"}; `adaptive`: takes {"type": "adaptive"} and an effort out of `efforts`."""

    budget: bool = True
    adaptive: bool = False
    efforts: tuple[str, ...] = ()
    sampling: bool = True  # takes temperature, top_p and top_k at all
    both: bool = True  # takes temperature and top_p in one request
    schemas: bool = False  # takes output_config.format, and tools that are strict
    signs: bool = True  # refuses thoughts of earlier turns that it did not sign


LOW_TO_HIGH = ("low", "medium", "high")

# The first generation that has these traits, newest first.
GENERATIONS: tuple[tuple[tuple[int, int], Traits], ...] = (
    ((4, 7), Traits(False, True, (*LOW_TO_HIGH, "xhigh", "max"), sampling=False, both=False, schemas=True)),
    ((4, 6), Traits(True, True, (*LOW_TO_HIGH, "max"), both=False, schemas=True)),
    ((4, 5), Traits(both=False, schemas=True)),
    ((4, 1), Traits(both=False, schemas=True)),
    ((3, 7), Traits()),
    ((0, 0), Traits(budget=False)),
)
NEWEST = GENERATIONS[0][1]
# The most tokens a generation writes in one answer, newest first; Opus wrote fewer before 4.5.
MOST: tuple[tuple[tuple[int, int], int], ...] = (((4, 6), 128_000), ((3, 7), 64_000), ((3, 5), 8192), ((0, 0), 4096))
MOST_OF_OPUS_4 = 32_000
FOREIGN = Traits(signs=False)  # somebody else's model behind this protocol; some want their thoughts back unsigned

_OLD_NAME = re.compile(r"claude-(?:v|instant-(?:v)?)?(\d)(?:[-.:](\d)(?!\d))?")  # claude-2.1, claude-3-5-sonnet-2024…
_NEW_NAME = re.compile(r"claude-[a-z]+-(\d)(?:[-.](\d{1,2})(?!\d))?(?!\d)")  # claude-sonnet-4-5, claude-opus-5


@lru_cache(maxsize=1024)
def traits(model: str) -> Traits:
    """Of a model by its name, whatever a cloud puts around it (us.anthropic.claude-opus-4-6-v1:0, …@20250929)."""
    name = model.lower()
    if "claude" not in name:
        return FOREIGN
    version = _version(name)
    if version is None:
        return Traits(budget=False) if "claude-instant" in name else NEWEST
    return next(having for first, having in GENERATIONS if version >= first)


@lru_cache(maxsize=1024)
def most_tokens(model: str) -> int:
    """The most tokens the model writes in one answer, thoughts included; 0 for somebody else's: nobody knows."""
    name = model.lower()
    if "claude" not in name:
        return 0
    version = _version(name) or ((0, 0) if "claude-instant" in name else MOST[0][0])
    if "3-5-sonnet-20240620" in name:
        return MOST[-1][1]  # more is refused at Bedrock
    if "opus" in name and (4, 0) <= version < (4, 5):
        return MOST_OF_OPUS_4
    return next(most for first, most in MOST if version >= first)


def _version(name: str) -> tuple[int, int] | None:
    found = _NEW_NAME.search(name) or _OLD_NAME.search(name)
    return (int(found[1]), int(found[2] or 0)) if found else None
