"""The form of one group of options, made from their Specs, and what it changes."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.fields import QuotaField
from console.options.table import LABELS, Group, Item
from console.seen import SEEN, SeenField, mark, marks_text
from options.registry import SPECS, THEMES, BadOption, Options, Spec, as_table, ratios_text
from options.services import BadOptions

DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,62}")
CLEAR = "clear_"  # before a secret's key: the box that takes the stored value away
CHOICES: dict[str, list[tuple[str, Any]]] = {
    "Theme": [(name, name) for name in THEMES],
    "ModelsPagePublic": [
        ("private", gettext_lazy("administrators only")),
        ("signed-in", gettext_lazy("whoever is logged in")),
        ("public", gettext_lazy("everybody")),
    ],
}
LONGEST = 500_000  # characters of one value


class GroupForm(forms.Form):
    """Fields are named by their keys. `changes()` is what `options.services.set_options` takes."""

    def __init__(
        self, data: Any = None, *, group: Group, options: Options, initial: dict[str, Any] | None = None
    ) -> None:
        self.group = group
        self.options = options
        self.specs = {item.key: SPECS[item.key] for item in group.items if item.key in SPECS}
        super().__init__(data, auto_id=f"id_{group.name}_%s", initial=initial)
        for item in group.items:
            if item.key in self.specs:
                self._add(item, self.specs[item.key])
        drawn = {key: _plain(spec, options.texts[key]) for key, spec in self.specs.items() if not spec.secret}
        self.fields[SEEN] = SeenField()
        self.initial.setdefault(SEEN, marks_text(drawn))

    def _add(self, item: Item, spec: Spec) -> None:
        text = self.options.texts[spec.key]
        self.fields[spec.key] = field = _field(item, spec)
        if isinstance(field, QuotaField):
            field.set_unit(self.options)
        if spec.secret:
            field.widget.attrs["placeholder"] = _("Stored. Type to replace it.") if text else _("Nothing is stored.")
            if text:
                self.fields[CLEAR + spec.key] = forms.BooleanField(label=_("Clear the stored value"), required=False)
        else:
            self.initial.setdefault(spec.key, _shown(item, spec, text))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for key, spec in self.specs.items():
            if key in self.errors or (spec.secret and not cleaned[key]):
                continue
            try:
                spec.check(self._text(spec, cleaned[key]))
            except BadOption as error:
                self.add_error(key, str(error))
        for key, spec in self.specs.items():
            if spec.needs and cleaned.get(key):
                missing = [needed for needed in spec.needs if not self._after(needed, cleaned)]
                if missing:
                    names = ", ".join(str(LABELS.get(needed, needed)) for needed in missing)
                    self.add_error(key, _("Fill in first: %s.") % names)
        return cleaned

    def _after(self, key: str, cleaned: dict[str, Any]) -> bool:
        """Whether an option would say something after this save."""
        if key not in self.specs or (self.specs[key].secret and not cleaned.get(key)):
            return bool(self.options.texts[key]) and not cleaned.get(CLEAR + key)
        return bool(cleaned.get(key))

    def _text(self, spec: Spec, value: Any) -> str:
        if spec.kind == "bool":
            return "true" if value else "false"
        if spec.kind == "csv":
            return ",".join(value)
        return str(value)

    def changes(self) -> dict[str, str | None]:
        """Of a valid form: the options whose value differs from the one in force. A cleared secret is None.

        What stands as the form was drawn is no change, though somebody else has changed it meanwhile.
        """
        found: dict[str, str | None] = {}
        seen = self.cleaned_data[SEEN]
        for key, spec in self.specs.items():
            value = self.cleaned_data[key]
            if spec.secret:
                if self.cleaned_data.get(CLEAR + key):
                    found[key] = None
                elif value:
                    found[key] = value
            elif seen.get(key) == mark(_plain(spec, self._text(spec, value))):
                continue
            elif spec.kind == "json":
                if as_table(spec, value) != self.options[key]:
                    found[key] = ratios_text(as_table(spec, value))
            elif self._text(spec, value) != self.options.texts[key]:
                found[key] = self._text(spec, value)
        return found

    def refuse(self, error: BadOptions) -> None:
        """What the service did not take, at its fields."""
        for key, problem in error.problems.items():
            self.add_error(key if key in self.fields else None, problem)


class DomainsField(forms.CharField):
    """One on each line; commas and blanks part them, too. Cleans to a list without repetitions, in lower case."""

    widget = forms.Textarea(attrs={"rows": 9, "spellcheck": "false", "class": "mono"})

    def to_python(self, value: Any) -> Any:
        names = [part.strip("@.") for part in re.split(r"[\s,;]+", str(value or "").lower())]
        return list(dict.fromkeys(name for name in names if name))

    def validate(self, value: Any) -> None:
        bad = [name for name in value if not DOMAIN.fullmatch(name)]
        if bad:
            raise ValidationError(_("Not a domain: %s.") % ", ".join(bad[:5]))


class WebAddressField(forms.CharField):
    """With http:// or https://, without a slash at its end; the option's own check refuses the rest."""

    widget = forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"})

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value) or "").strip()


class ServerAddressField(WebAddressField):
    def to_python(self, value: Any) -> str:
        return super().to_python(value).rstrip("/")


def _field(item: Item, spec: Spec) -> forms.Field:  # noqa: PLR0911 (one return a kind)
    told: dict[str, Any] = {"label": item.label, "help_text": item.help}
    if spec.secret:
        widget = forms.PasswordInput(attrs={"autocomplete": "new-password", "spellcheck": "false"})
        return forms.CharField(required=False, strip=False, max_length=LONGEST, widget=widget, **told)
    if spec.key in CHOICES:
        return forms.ChoiceField(choices=CHOICES[spec.key], **told)
    if spec.key == "EmailDomainWhitelist":
        return DomainsField(required=False, **told)
    if spec.kind == "bool":
        return forms.BooleanField(required=False, **told)
    if item.look == "points":
        return QuotaField(**told)
    if spec.kind in ("int", "float"):
        number = forms.NumberInput(attrs={"step": "1" if spec.kind == "int" else "any", "inputmode": "decimal"})
        return forms.CharField(max_length=40, widget=number, **told)
    if spec.kind == "json":
        area = forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "mono"})
        return forms.CharField(max_length=LONGEST * 10, widget=area, **told)
    if item.look == "address":
        return (
            ServerAddressField(required=False, **told)
            if spec.key == "ServerAddress"
            else WebAddressField(required=False, **told)
        )
    if item.look in ("area", "markdown"):
        area = forms.Textarea(attrs={"rows": 8, "class": "mono"})
        return forms.CharField(required=False, strip=False, max_length=LONGEST, widget=area, **told)
    return forms.CharField(
        required=False, max_length=2000, widget=forms.TextInput(attrs={"autocomplete": "off"}), **told
    )


def _shown(item: Item, spec: Spec, text: str) -> Any:
    """The value in force as its field shows it."""
    if spec.kind == "bool":
        return text == "true"
    if item.look == "points":
        return int(text)
    if spec.kind == "csv":
        return "\n".join(part.strip() for part in text.split(",") if part.strip())
    if spec.kind == "json":
        rows = [ratios_text({name: ratio})[1:-1] for name, ratio in sorted(as_table(spec, text).items())]
        return "{\n  " + ",\n  ".join(rows) + "\n}" if rows else "{}"
    return text


def _plain(spec: Spec, text: str) -> str:
    """The same text for the same value, however it is written."""
    if spec.kind == "json":
        return ratios_text(as_table(spec, text))
    if spec.kind == "csv":
        return ",".join(part.strip() for part in text.split(",") if part.strip())
    return text


class PurgeForm(forms.Form):
    before = forms.DateTimeField(
        label=gettext_lazy("Older than"),
        help_text=gettext_lazy("In your own time zone."),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def clean_before(self) -> datetime:
        moment: datetime = self.cleaned_data["before"]
        if moment.timestamp() > time.time():
            raise ValidationError(_("This moment is yet to come."))
        return moment


def month_ago() -> datetime:
    return timezone.localtime().replace(second=0, microsecond=0) - timedelta(days=30)
