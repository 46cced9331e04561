"""Form fields and widgets that several pages share: searches, quota, lists of models."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from console import formats
from options.registry import MAX_QUOTA, Options


class SearchInput(forms.TextInput):
    """The first field of a filter bar; "/" goes there, and the list follows what is typed."""

    input_type = "search"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"class": "search-box", "autocomplete": "off", **(attrs or {})})


class QuotaWidget(forms.MultiWidget):
    """A number and its unit. `names`: <field>_0 and <field>_1."""

    template_name = "console/widgets/quota.html"

    def __init__(self) -> None:
        units = [("points", _("points")), ("dollars", _("US dollars"))]
        super().__init__(
            [
                forms.NumberInput(attrs={"step": "any", "min": "0", "inputmode": "decimal", "data-quota": ""}),
                forms.Select(choices=units, attrs={"data-quota-unit": "", "aria-label": _("Unit")}),
            ]
        )
        self.per_unit = Decimal(1)

    def id_for_label(self, id_: str) -> str:
        """The label is that of the amount; Django would name none of the two."""
        return f"{id_}_0" if id_ else ""

    def decompress(self, value: Any) -> list[Any]:
        return [value, "points"]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        points = value if isinstance(value, int) else None
        context["widget"]["per_unit"] = str(self.per_unit)
        context["widget"]["shown"] = formats.money(points, self.per_unit) if points is not None else ""
        return context


class QuotaField(forms.MultiValueField):
    """Points, typed as points or as dollars (rounded half up). Cleans to an int, or None where nothing was typed.

    `set_unit` must be called in the form's `__init__`.
    """

    widget = QuotaWidget

    def __init__(self, *, required: bool = True, lowest: int = 0, **kwargs: Any) -> None:
        fields = (forms.CharField(required=False), forms.CharField(required=False))
        super().__init__(fields, required=required, require_all_fields=False, **kwargs)
        self.lowest = lowest
        self.per_unit = Decimal(1)

    def set_unit(self, options: Options) -> None:
        self.per_unit = options["QuotaPerUnit"]
        self.widget.per_unit = self.per_unit

    def compress(self, data_list: Sequence[Any]) -> int | None:
        text, unit = [*data_list, "", ""][:2]
        if not str(text or "").strip():
            if self.required:
                raise ValidationError(_("Enter an amount."))
            return None
        try:
            amount = Decimal(str(text).strip())
        except InvalidOperation:
            raise ValidationError(_("Enter a number.")) from None
        if not amount.is_finite():
            raise ValidationError(_("Enter a number."))
        try:
            points = amount * self.per_unit if unit == "dollars" else amount
        except ArithmeticError:  # more than a Decimal holds
            points = Decimal(MAX_QUOTA + 1)
        if not self.lowest <= points <= MAX_QUOTA:
            raise ValidationError(
                _("The amount must be between %(low)s and %(high)s points.") % {"low": self.lowest, "high": MAX_QUOTA}
            )
        return int(points.to_integral_value(ROUND_HALF_UP))


class ModelsWidget(forms.SelectMultiple):
    """A `select multiple` that a script turns into a searchable picker (static/console/js/choosing.js)."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"data-choose": "", "size": "6", **(attrs or {})})


class ModelsField(forms.MultipleChoiceField):
    """Names of models. Those already stored are kept though nobody serves them any more; with `free` any name may come.

    Cleans to a list without repetitions. A pasted list (commas, blanks, lines) in one value is taken apart.
    """

    widget = ModelsWidget

    def __init__(self, *, free: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.free = free
        if free:
            self.widget.attrs["data-choose"] = "free"

    def set_known(self, names: Sequence[str], chosen: Sequence[str] = ()) -> None:
        self.choices = [(name, name) for name in dict.fromkeys([*chosen, *names])]

    def to_python(self, value: Any) -> list[str]:
        parts = [part for one in value or [] for part in str(one).replace(",", " ").split()]
        return list(dict.fromkeys(parts))

    def valid_value(self, value: str) -> bool:
        return self.free or bool(super().valid_value(value))


class MomentField(forms.DateTimeField):
    """A moment in the person's own zone, typed or chosen. Cleans to an aware datetime, or None."""

    def __init__(self, **kwargs: Any) -> None:
        typed = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M:%S")
        super().__init__(**{"input_formats": typed, "widget": widget, **kwargs})
