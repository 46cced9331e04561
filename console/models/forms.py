"""How the list of models is narrowed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from console.fields import SearchInput
from console.models.kinds import LABELS


class ModelFilter(forms.Form):
    q = forms.CharField(label=_("Search by name"), required=False, max_length=100, widget=SearchInput)
    provider = forms.ChoiceField(label=_("Provider"), required=False)
    kind = forms.ChoiceField(label=_("For"), required=False, choices=[("", _("Everything")), *LABELS.items()])

    def __init__(self, *args: Any, owners: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["provider"].choices = [("", _("All providers")), *owners]  # type: ignore[attr-defined]
