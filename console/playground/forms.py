"""What is asked of a model from the playground."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.models import Token
from console.formats import masked

MOST_TOKENS = 10_000_000


class AskForm(forms.Form):
    """`request` of the cleaned form is the body of a chat completion."""

    model = forms.ChoiceField(label=_("Model"))
    other_model = forms.ChoiceField(
        label=_("Beside it"), required=False, help_text=_("A second model gets the same messages.")
    )
    key = forms.ModelChoiceField(
        label=_("API key"), queryset=Token.objects.none(), help_text=_("Calls are billed to it, as any other.")
    )
    channel = forms.IntegerField(
        label=_("Channel"), required=False, min_value=1, help_text=_("The id of the one channel to use. Empty: any.")
    )
    system = forms.CharField(label=_("System message"), required=False, widget=forms.Textarea(attrs={"rows": 3}))
    temperature = forms.DecimalField(label=_("Temperature"), required=False, min_value=0, max_value=2)
    top_p = forms.DecimalField(label=_("Top p"), required=False, min_value=0, max_value=1)
    max_tokens = forms.IntegerField(label=_("Most tokens"), required=False, min_value=1, max_value=MOST_TOKENS)
    tools = forms.CharField(
        label=_("Tools"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono", "spellcheck": "false"}),
        help_text=_("A JSON list of tools, as in the API. What the model wants to call is shown, not run."),
    )
    message = forms.CharField(
        label=_("Message"), widget=forms.Textarea(attrs={"rows": 3, "placeholder": _("Ask something")})
    )

    def __init__(self, *args: Any, models: Sequence[str], keys: Sequence[Token], admin: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(name, name) for name in models]
        self.fields["model"].choices = choices  # type: ignore[attr-defined]
        self.fields["other_model"].choices = [("", _("None")), *choices]  # type: ignore[attr-defined]
        chosen: Any = self.fields["key"]
        chosen.queryset = Token.objects.filter(pk__in=[key.pk for key in keys])
        chosen.empty_label = None
        chosen.label_from_instance = _named
        for name in ("temperature", "top_p"):
            self.fields[name].widget.attrs["step"] = "0.1"
        if not admin:
            del self.fields["channel"]

    def clean_tools(self) -> list[Any]:
        text = self.cleaned_data["tools"].strip()
        try:
            read = json.loads(text or "[]")
        except (ValueError, RecursionError) as error:
            raise ValidationError(_("This is no JSON: %(why)s"), params={"why": str(error)}) from None
        if not isinstance(read, list):
            raise ValidationError(_("The tools must be a JSON list."))
        return read

    def request(self) -> dict[str, Any]:
        data = self.cleaned_data
        messages = [{"role": "user", "content": data["message"]}]
        if data["system"].strip():
            messages.insert(0, {"role": "system", "content": data["system"]})
        body: dict[str, Any] = {"model": data["model"], "messages": messages}
        for name in ("temperature", "top_p"):
            if data[name] is not None:
                body[name] = float(data[name])
        if data["max_tokens"] is not None:
            body["max_tokens"] = data["max_tokens"]
        if data["tools"]:
            body["tools"] = data["tools"]
        return body


def _named(token: Token) -> str:
    return f"{token.name or '–'} ({masked(token.key)})"
