"""What a form was drawn with, sent along in a hidden field as marks.

A value that comes back as it was drawn is no change of this person's, though another may have changed it meanwhile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django import forms

SEEN = "seen"  # the field's name


class SeenField(forms.CharField):
    """Cleans to the marks by name: none where nothing of use was sent, so that every value counts as typed."""

    widget = forms.HiddenInput

    def __init__(self) -> None:
        super().__init__(required=False)

    def clean(self, value: Any) -> dict[str, Any]:
        try:
            marks = json.loads(value or "{}")
        except (ValueError, RecursionError):
            return {}
        return marks if isinstance(marks, dict) else {}


def marks_text(texts: Mapping[str, str]) -> str:
    """What the field is drawn with."""
    return json.dumps({name: mark(text) for name, text in texts.items()})


def mark(text: str) -> str:
    """Of a value; browsers send line ends of their own."""
    return hashlib.sha256(text.replace("\r\n", "\n").strip().encode("utf-8", "replace")).hexdigest()[:16]
