"""A JSON object of texts as rows of two boxes, or as the JSON itself: whichever of the two was changed counts."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

SPARE = 2  # empty rows that are always there, so that pairs can be added without a script


class PairsWidget(forms.Widget):
    """`names`: <field>_from and <field>_to, once for each row; <field>_json, and <field>_was as it was drawn.

    Its value is JSON text. Of rows with the same left side the last counts; half rows are left to the field.
    """

    template_name = "console/widgets/pairs.html"
    use_fieldset = True

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        text = str(value or "")
        try:
            table = read(text)
        except (ValueError, RecursionError):
            table = None
        usable = isinstance(table, dict) and all(isinstance(each, str) for each in table.values())
        pairs = list(table.items()) if usable and table else []
        pretty = json.dumps(table, ensure_ascii=False, indent=2) if usable and table else text
        context["widget"] |= {"pairs": [*pairs, *[("", "")] * SPARE], "json": pretty, "odd": not usable and bool(text)}
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:
        typed = str(data.get(f"{name}_json", ""))
        if _lines(typed) != _lines(str(data.get(f"{name}_was", ""))):
            return typed.strip()
        lefts, rights = data.getlist(f"{name}_from"), data.getlist(f"{name}_to")
        pairs = [(left.strip(), right.strip()) for left, right in zip(lefts, rights, strict=False)]
        filled = [(left, right) for left, right in pairs if left or right]
        if any(left.startswith("{") for left, _right in filled):  # JSON pasted into a row
            return str(next(left for left, _right in filled if left.startswith("{")))
        table = dict(filled)
        if not filled and _lines(typed):
            return "" if name + "_from" in data else typed.strip()
        return json.dumps(table, ensure_ascii=False) if table else ""

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}_json" not in data and f"{name}_from" not in data


class PairsField(forms.CharField):
    """Cleans to JSON text of an object whose names and texts are not empty, or to ""."""

    widget = PairsWidget

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        if not text:
            return ""
        try:
            table = read(text)
        except (ValueError, RecursionError):
            raise ValidationError(_("This is not valid JSON.")) from None
        if not isinstance(table, dict):
            raise ValidationError(_("The mapping must be a JSON object."))
        for left, right in table.items():
            if not left.strip() or not isinstance(right, str) or not right.strip():
                raise ValidationError(_("Each row needs a name on both sides: %(name)s") % {"name": left or right})
        return str(text)


def read(text: str) -> Any:
    """What a mapping's JSON says, {} where there is none. Raises ValueError, RecursionError."""
    table = json.loads(text or "{}")
    json.dumps(table, ensure_ascii=False).encode()  # half a letter, which JSON can name, stands on no page
    return table


def _lines(text: str) -> str:
    """Browsers send line ends of their own."""
    return text.replace("\r\n", "\n").strip()
