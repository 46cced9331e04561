"""What is asked about prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from billing.price_editing import COLUMNS, Row, shown
from console.fields import SearchInput

LABELS: dict[str, Any] = {
    "prompt": pgettext_lazy("price", "Input"),
    "completion": pgettext_lazy("price", "Output"),
    "cached": gettext_lazy("Cached input"),
    "cache_write": gettext_lazy("Cache write"),
    "cache_write_long": gettext_lazy("Long cache write"),
    "audio_prompt": gettext_lazy("Sound in"),
    "image_prompt": gettext_lazy("Images in"),
    "reasoning": gettext_lazy("Reasoning"),
    "audio_completion": gettext_lazy("Sound out"),
    "image_completion": gettext_lazy("Images out"),
}
SHOW = [
    ("", gettext_lazy("All models")),
    ("used", gettext_lazy("Served by a channel")),
    ("own", gettext_lazy("With a price of ours")),
    ("unpriced", gettext_lazy("Served, but unpriced")),
]
LONGEST_NAME = 191  # as the log's column


class PriceFilter(forms.Form):
    q = forms.CharField(label=gettext_lazy("Search by model"), required=False, max_length=191, widget=SearchInput)
    show = forms.ChoiceField(label=gettext_lazy("Show"), choices=SHOW, required=False, widget=forms.HiddenInput)


class PriceForm(forms.Form):
    """Dollars for 1M tokens. A field left as it was shown keeps its exact value (billing.price_editing.edit)."""

    model = forms.CharField(
        label=gettext_lazy("Model"),
        max_length=LONGEST_NAME,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy("As the upstream calls it, after a channel's mapping."),
    )

    def __init__(self, *args: Any, row: Row | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for column in COLUMNS:
            self.fields[column] = forms.DecimalField(
                label=LABELS[column],
                required=column == "prompt",
                min_value=Decimal(0),
                max_digits=24,
                decimal_places=12,
                widget=forms.NumberInput(attrs={"step": "any", "min": "0", "inputmode": "decimal"}),
                help_text=_told(row, column),
            )
            if row is not None and (column not in self.initial):
                self.initial[column] = shown(row.dollars[column])
        if row is not None:
            self.initial.setdefault("model", row.model)
            self.fields["model"].widget.attrs["readonly"] = True

    def clean_model(self) -> str:
        name: str = self.cleaned_data["model"].strip()
        if not name.isprintable():
            raise ValidationError(_("This is no name of a model."))
        return name

    def typed(self) -> dict[str, Decimal | None]:
        return {column: self.cleaned_data[column] for column in COLUMNS}


def _told(row: Row | None, column: str) -> str:
    """The ratio beside the dollars, and whether the operator set it for just this model."""
    ratio = row.ratios[column] if row is not None else None
    if row is None or ratio is None:
        return _("empty: as text") if column not in ("prompt", "completion") else ""
    text = _("ratio %s") % f"{ratio:f}"
    return f"{text} · {_('ours')}" if column in row.own else text


class FactorForm(forms.Form):
    factor = forms.DecimalField(label=gettext_lazy("Factor"), max_digits=12, decimal_places=6)


class ImportForm(forms.Form):
    text = forms.CharField(
        label=gettext_lazy("JSON"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 12, "class": "mono", "spellcheck": "false"}),
        help_text=gettext_lazy(
            'Tables by option, as the export has them, or one table of model ratios: {"gpt-4o": 1.25}.'
        ),
    )
    file = forms.FileField(label=gettext_lazy("Or a file"), required=False)
    replace = forms.BooleanField(
        label=gettext_lazy("Take out what the tables do not name"),
        required=False,
        help_text=gettext_lazy("Without it, entries are added and changed only."),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("file"):
            try:
                cleaned["text"] = cleaned["file"].read().decode("utf-8-sig")
            except UnicodeDecodeError:
                self.add_error("file", _("This file is not UTF-8 text."))
        elif not (cleaned.get("text") or "").strip():
            self.add_error("text", _("Paste the tables, or choose a file."))
        return cleaned


class SourceForm(forms.Form):
    address = forms.CharField(
        label=gettext_lazy("Address"),
        required=False,
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
        help_text=gettext_lazy("Nothing is fetched until you ask for it. The address must begin with https://."),
    )
    file = forms.FileField(
        label=gettext_lazy("Or a file"),
        required=False,
        help_text=gettext_lazy("Our own form (docs/pricing.md), or LiteLLM's model_prices_and_context_window.json."),
    )
    everything = forms.BooleanField(label=gettext_lazy("Also models that no channel serves"), required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not cleaned.get("file") and not (cleaned.get("address") or "").strip():
            self.add_error("address", _("Enter an address, or choose a file."))
        return cleaned
