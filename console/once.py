"""Forms that act once though they are sent twice: pages without scripts do not keep anybody from a second click."""

from __future__ import annotations

import secrets
from typing import Any

from django import forms

ONCE_LENGTH = 32  # characters


class OnceForm(forms.Form):
    """`once` names this very form. Its template has to draw it."""

    once = forms.CharField(widget=forms.HiddenInput, max_length=ONCE_LENGTH, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["once"].initial = secrets.token_hex(ONCE_LENGTH // 2)
