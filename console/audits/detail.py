"""What an entry says, line by line: a name, what it was, what it became."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

PAIRS = (("old", "new"), ("before", "after"))


@dataclass(frozen=True)
class Line:
    """`before` is "" where only one value is told."""

    name: str
    before: str
    after: str


def lines_of(detail: dict[str, Any]) -> list[Line]:
    """Pairs of old and new values stand on one line, wherever they are in the detail."""
    lines: list[Line] = []
    rest = dict(detail)
    for old, new in PAIRS:
        if old in rest and new in rest:
            lines += _pair(rest.pop(old), rest.pop(new))
    if isinstance(before := rest.get("before"), dict):  # what the members beside it were
        lines += [Line(name, _text(value), _text(rest.pop(name, ""))) for name, value in before.items()]
        del rest["before"]
    for name, value in rest.items():
        if isinstance(value, dict):
            lines += [_changed(f"{name} › {key}", inner) for key, inner in value.items()]
        else:
            lines.append(_changed(name, value))
    return lines


def _pair(old: Any, new: Any) -> list[Line]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [Line(key, _text(old.get(key, "")), _text(new.get(key, ""))) for key in {**old, **new}]
    return [Line(_("value"), _text(old), _text(new))]


def _changed(name: str, value: Any) -> Line:
    if isinstance(value, dict):
        for old, new in PAIRS:
            if value.keys() == {old, new}:
                return Line(name, _text(value[old]), _text(value[new]))
    return Line(name, "", _text(value))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return ", ".join(str(one) for one in value)
    return json.dumps(value, ensure_ascii=False)
