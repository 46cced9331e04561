"""What is asked about a group."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.groups import LONGEST
from console.fields import SearchInput


class GroupFilter(forms.Form):
    q = forms.CharField(label=_("Search by name"), required=False, max_length=64, widget=SearchInput)


class GroupForm(forms.Form):
    """`ratio` is exact to six decimals. Without a name for a group that exists."""

    name = forms.CharField(
        label=_("Name"),
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Users and channels name it; it cannot be changed later."),
    )
    ratio = forms.DecimalField(
        label=_("Factor on every price"),
        min_value=Decimal(0),
        max_value=Decimal(10**6),
        max_digits=13,
        decimal_places=6,
        widget=forms.NumberInput(attrs={"step": "any", "min": "0", "inputmode": "decimal"}),
        help_text=_("1 is the price as it stands, 0.5 half of it, 0 makes every call free."),
    )

    def __init__(self, *args: Any, editing: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if editing:
            del self.fields["name"]
