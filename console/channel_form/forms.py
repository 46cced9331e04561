"""The fields of a channel: those of every type, and the boxes of its own (channels_app.form_table)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from channels_app import form_table
from channels_app.catalogue import OWNERS
from channels_app.form_table import Box, TypeForm
from channels_app.providers import CONFIG_MEMBERS, SECRET_MEMBERS
from channels_app.validation import MAX_NAME, MAX_NOTES, MAX_PRIORITY, MAX_TAGS, MAX_TEST_EVERY, MAX_WEIGHT
from console.channel_form.pairs import PairsField, read
from console.fields import ModelsField
from console.seen import SEEN, SeenField, mark, marks_text

BOX, CLEAR = "box_", "clear_"  # before the names of a type's own boxes, and of the ticks that forget a secret


@dataclass(frozen=True)
class Stored:
    """What is known of the channel that is edited. `secrets`: names of the config members and "key" that are set.
    `plain`: the members of config that are none. `boxes`: what boxes show of it, by field, whichever type has them.
    """

    pk: int
    type: int
    secrets: frozenset[str] = frozenset()
    key_ending: str = ""
    plain: Mapping[str, str] = field(default_factory=dict)
    boxes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Offered:
    """`groups`: that exist."""

    groups: Sequence[str] = field(default_factory=tuple)


class ChannelForm(forms.Form):
    """`channel_type` says which boxes there are. Secrets are never filled in from what is stored, only from what was
    typed into this form a moment ago.

    With a `stored` channel the form carries marks of what it was drawn with, through every redrawing.
    """

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=MAX_NAME, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    group = ModelsField(
        label=gettext_lazy("Groups"),
        free=True,
        help_text=gettext_lazy("Whose calls may be sent here. What a group pays is set under the groups' prices."),
    )
    models = ModelsField(
        label=gettext_lazy("Models"),
        free=True,
        error_messages={"required": gettext_lazy("Choose at least one model.")},
    )
    model_mapping = PairsField(
        label=gettext_lazy("Model mapping"),
        required=False,
        help_text=gettext_lazy("Calls for the name on the left are sent to the provider with the name on the right."),
    )
    system_prompt = forms.CharField(
        label=gettext_lazy("System prompt"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono"}),
        help_text=gettext_lazy(
            "Replaces the system message of every call on this channel. Meant for a model name of its own, and a"
            " mapping."
        ),
    )
    key = forms.CharField(label=gettext_lazy("Key"), required=False)
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        required=False,
        max_length=MAX_TAGS,
        help_text=gettext_lazy("Commas between them. For finding channels, and changing them together."),
    )
    priority = forms.IntegerField(
        label=gettext_lazy("Priority"),
        required=False,
        min_value=-MAX_PRIORITY,
        max_value=MAX_PRIORITY,
        help_text=gettext_lazy("Channels of the highest priority are tried first."),
    )
    weight = forms.IntegerField(
        label=gettext_lazy("Weight"),
        required=False,
        min_value=0,
        max_value=MAX_WEIGHT,
        help_text=gettext_lazy("How often it is drawn among those of the same priority; 0 counts as 1."),
    )
    test_model = forms.CharField(
        label=gettext_lazy("Model for tests"),
        required=False,
        max_length=191,
        help_text=gettext_lazy("Empty: gpt-3.5-turbo where it is listed, else the first of the list."),
    )
    test_every = forms.IntegerField(
        label=gettext_lazy("Minutes between tests"),
        required=False,
        min_value=0,
        max_value=MAX_TEST_EVERY,
        help_text=gettext_lazy(
            "Empty: as the server does for all channels (CHANNEL_TEST_FREQUENCY). 0: never by itself."
        ),
    )
    auto_disable = forms.BooleanField(
        label=gettext_lazy("May be disabled automatically"),
        required=False,
        help_text=gettext_lazy("By tests, by live calls that fail, and when the balance is used up."),
    )
    notes = forms.CharField(
        label=gettext_lazy("Notes"),
        required=False,
        max_length=MAX_NOTES,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("For the administrators alone."),
    )

    def __init__(
        self, *args: Any, channel_type: int, offered: Offered, stored: Stored | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.type_form: TypeForm = form_table.form_of(channel_type)
        self.stored = stored
        for box in self.type_form.boxes:
            self.fields[BOX + box.name] = self._box_field(box)
            if box.secret and not box.required and self._is_stored(box.name):
                self.fields[CLEAR + box.name] = forms.BooleanField(
                    label=_("Forget what is stored: %(what)s") % {"what": box.label}, required=False
                )
        self._set_key()
        if not self.type_form.models:
            for name in ("models", "model_mapping", "system_prompt", "test_model"):
                del self.fields[name]
        else:
            self.fields["models"].choices = _grouped(self._current("models"))  # type: ignore[attr-defined]
        if stored is not None:
            self.fields[SEEN] = SeenField()
        groups = self.fields["group"]
        groups.set_known(list(offered.groups), self._current("group"))  # type: ignore[attr-defined]

    @property
    def boxes(self) -> list[Any]:
        """The bound fields of the type's own boxes but the proxy."""
        return [self[BOX + box.name] for box in self.type_form.boxes if box.name != "proxy"]

    @property
    def proxy(self) -> list[Any]:
        names = [BOX + "proxy", CLEAR + "proxy"]
        return [self[name] for name in names if name in self.fields]

    @property
    def chosen_models(self) -> list[str]:
        return self._current("models") if "models" in self.fields else []

    def typed(self) -> dict[str, Any]:
        """What stands in the boxes now, unchecked, as initial values of another form."""
        values = {
            name: each.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
            for name, each in self.fields.items()
        }
        for name in ("models", "group"):
            if name in self.fields:
                values[name] = self.fields[name].to_python(values[name])
        return values

    def service_fields(self) -> dict[str, Any]:
        """As channels_app.services takes them, the key excepted; of a stored channel what was changed alone, so that
        a form left open undoes nobody's work.
        """
        fields = self._all_fields()
        shown_as = {"base_url": [BOX + "base_url"], "config": self._config_boxes()}
        anew = () if self._left("type") else ("type", *shown_as)
        return {
            column: value
            for column, value in fields.items()
            if column in anew or not all(self._left(name) for name in shown_as.get(column, [column]))
        }

    def _all_fields(self) -> dict[str, Any]:
        data = self.cleaned_data
        fields: dict[str, Any] = {
            "type": self.type_form.type,
            "name": data["name"],
            "group": ",".join(data["group"]),
            "base_url": data.get(BOX + "base_url", ""),
            "config": self._config(),
            "tags": data["tags"],
            "priority": data["priority"] or 0,
            "weight": data["weight"] or 0,
            "test_every": "" if data["test_every"] is None else data["test_every"],
            "auto_disable": data["auto_disable"],
            "notes": data["notes"],
        }
        if self.type_form.models:
            fields |= {
                "models": ",".join(data["models"]),
                "model_mapping": data["model_mapping"],
                "system_prompt": data["system_prompt"],
                "test_model": data["test_model"],
            }
        return fields

    def keys(self) -> list[str]:
        """Of a new channel: each once, in their order; one empty text where the type has no key."""
        if not self.type_form.key:
            return [""]
        return list(dict.fromkeys(line.strip() for line in self.cleaned_data["key"].splitlines() if line.strip()))

    def _config(self) -> dict[str, str]:
        """Every member by name. An empty secret is what the service keeps; one that is absent it forgets."""
        config = dict.fromkeys(sorted(CONFIG_MEMBERS - SECRET_MEMBERS), "")
        if self.stored is not None:
            config |= self.stored.plain  # also what this type has no box for
        for box in self.type_form.boxes:
            text = self.cleaned_data[BOX + box.name]
            kept = self._is_stored(box.name) and not self.cleaned_data.get(CLEAR + box.name)
            drawn = self.stored is None or BOX + box.name in self.data  # a type may be saved before its boxes are there
            left = self._left("type") and self._left(BOX + box.name)
            as_stored = not box.secret and (left or not drawn)
            if box.name != "base_url" and not as_stored and (text or kept or not box.secret):
                config[box.name] = text
        return config

    def _config_boxes(self) -> list[str]:
        """What stands for members of config, and the ticks beside them."""
        boxes = [BOX + box.name for box in self.type_form.boxes if box.name != "base_url"]
        return [*boxes, *(name for name in self.fields if name.startswith(CLEAR))]

    def _left(self, name: str) -> bool:
        """Whether this is as the form was drawn with. An empty box of a secret and an empty tick change nothing."""
        if self.stored is None:
            return False
        value = self.type_form.type if name == "type" else self.cleaned_data.get(name)
        if name.startswith(CLEAR) or name.removeprefix(BOX) in SECRET_MEMBERS:
            return not value
        return bool(self.cleaned_data[SEEN].get(name) == mark(_plain(name, value)))

    def _box_field(self, box: Box) -> forms.Field:
        kept = box.secret and self._is_stored(box.name)
        attrs = {"autocomplete": "off", "spellcheck": "false", "placeholder": box.placeholder}
        if kept:
            attrs["placeholder"] = _("stored; leave it empty to keep it")
        widget: forms.Widget = forms.TextInput(attrs=attrs)
        if box.multi_line:
            widget = forms.Textarea(attrs={**attrs, "rows": 4, "class": "mono"})
        elif box.secret:
            widget = forms.PasswordInput(render_value=True, attrs={**attrs, "autocomplete": "new-password"})
        return forms.CharField(
            label=str(box.label),
            required=box.required and not kept,
            help_text=str(box.help),
            initial=box.initial if self.stored is None else "",
            widget=widget,
        )

    def _set_key(self) -> None:
        if not self.type_form.key:
            del self.fields["key"]
            return
        key = self.fields["key"]
        example = format_html("{} <code>{}</code>", _("What it looks like:"), self.type_form.key_format)
        if self.stored is None:
            key.required = True
            key.widget = forms.Textarea(
                attrs={"rows": 3, "class": "mono", "autocomplete": "off", "spellcheck": "false", "data-count-lines": ""}
            )
            more = _("Several keys, one a line, make one channel each; the same key twice counts once.")
        else:
            key.widget = forms.PasswordInput(render_value=True, attrs={"autocomplete": "new-password"})
            key.label = _("Replace the key")
            more = self._said_of_key(self.stored)
        parts = [[part] for part in (example, self.type_form.key_help, more) if part]
        key.help_text = format_html_join(mark_safe("<br>"), "{}", parts)  # escapes: the end of a key may be anything

    @staticmethod
    def _said_of_key(stored: Stored) -> str:
        if "key" not in stored.secrets:
            return _("No key is stored.")
        if not stored.key_ending:
            return _("A key is stored. Leave the box empty to keep it.")
        return _("A key is stored, ending in %(end)s. Leave the box empty to keep it.") % {"end": stored.key_ending}

    def _is_stored(self, name: str) -> bool:
        return self.stored is not None and name in self.stored.secrets

    def _current(self, name: str) -> list[str]:
        """What the box holds now, for the names that must be among the choices."""
        each = self.fields[name]
        value = (
            each.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
            if self.is_bound
            else self.get_initial_for_field(each, name)
        )
        return list(each.to_python(value) or ())


def marks_of(initial: Mapping[str, Any]) -> str:
    """What SEEN is drawn with: marks of the stored values and of boxes that are empty, secrets left out."""
    every = {**{BOX + member: "" for member in CONFIG_MEMBERS}, **initial}
    drawn = {name: value for name, value in every.items() if name.removeprefix(BOX) not in SECRET_MEMBERS}
    return marks_text({name: _plain(name, value) for name, value in drawn.items()})


def _plain(name: str, value: Any) -> str:
    """The same text for the same value, however it is written."""
    if name == "model_mapping" and (table := mapping_of(value)):
        return json.dumps(table, sort_keys=True)
    if isinstance(value, list):
        return ",".join(sorted(value))  # they are drawn in an order of their own
    return "" if value is None else str(value)


def mapping_of(value: object) -> Mapping[str, str]:
    """The pairs in a mapping's JSON text; empty where it is none."""
    try:
        table = read(str(value or ""))
    except (ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}


def _grouped(chosen: Sequence[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every known model under its owner; names nobody knows come first, by themselves."""
    groups: dict[str, list[tuple[str, str]]] = {}
    unknown = [(name, name) for name in chosen if name not in OWNERS]
    for name, owner in OWNERS.items():
        groups.setdefault(owner, []).append((name, name))
    own = [(str(_("Names of your own")), unknown)] if unknown else []
    return [*own, *groups.items()]
