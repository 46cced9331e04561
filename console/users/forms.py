"""What is asked about people."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from accounts.adjusting import How
from accounts.finding import BINDINGS, UserFilter
from accounts.models import Role, User, UserStatus
from accounts.names import NAME_LENGTH, PASSWORD_LENGTHS
from console.fields import QuotaField, SearchInput
from console.once import OnceForm
from options.registry import MAX_QUOTA, Options

ROLES = [(str(role.value), role.label) for role in (Role.COMMON, Role.ADMIN, Role.ROOT)]
STATUSES = [(str(status.value), status.label) for status in (UserStatus.ENABLED, UserStatus.DISABLED)]
BINDING_NAMES = {"email": _("E-mail"), "github": "GitHub", "wechat": _("WeChat"), "lark": _("Lark"), "oidc": "OIDC"}


def idle_choices() -> list[tuple[str, str]]:
    return [("", _now("Any time")), *[(str(days), _now("not for %d days") % days) for days in (7, 30, 90, 365)]]


class UsersFilter(forms.Form):
    q = forms.CharField(
        label=_("Search name, address, number"), required=False, max_length=191, widget=SearchInput, strip=True
    )
    role = forms.ChoiceField(label=_("Role"), choices=[("", _("Any role")), *ROLES], required=False)
    status = forms.ChoiceField(label=_("Status"), choices=[("", _("Any status")), *STATUSES], required=False)
    group = forms.ChoiceField(label=_("Group"), required=False)
    bound = forms.ChoiceField(
        label=_("Bound"),
        choices=[("", _("Anything")), *[(key, BINDING_NAMES[key]) for key in BINDINGS]],
        required=False,
    )
    idle = forms.ChoiceField(label=_("Last active"), choices=idle_choices, required=False)
    below = forms.DecimalField(label=_("Balance below"), required=False, min_value=0, max_digits=24)

    def __init__(self, *args: Any, options: Options, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "filter_%s", **kwargs})
        self.options = options
        self.fields["group"].choices = [("", _("Any group")), *group_choices(options)]  # type: ignore[attr-defined]
        money = options["DisplayInCurrencyEnabled"]
        self.fields["below"].label = _("Balance below ($)") if money else _("Balance below (points)")
        self.fields["below"].widget.attrs.update(step="any", inputmode="decimal")

    def wanted(self) -> UserFilter:
        """What was asked for; nothing where it makes no sense."""
        if not self.is_valid():
            return UserFilter()
        typed = self.cleaned_data
        below: Decimal | None = typed["below"]
        if below is not None and self.options["DisplayInCurrencyEnabled"]:
            below *= self.options["QuotaPerUnit"]
        return UserFilter(
            text=typed["q"],
            role=int(typed["role"] or 0),
            status=int(typed["status"] or 0),
            group=typed["group"],
            bound=typed["bound"],
            below=None if below is None else min(int(below.to_integral_value(ROUND_HALF_UP)), MAX_QUOTA + 1),
            idle=int(typed["idle"] or 0),
        )


def group_choices(options: Options, present: str = "") -> list[tuple[str, str]]:
    """The groups that have a ratio, and the one somebody is in though it has none any more."""
    names = sorted({*options["GroupRatio"], *([present] if present else [])})
    return [(name, name) for name in names]


class UserForm(forms.Form):
    """For an account that there is (`person`), or for a new one."""

    username = forms.CharField(
        label=_("User name"), max_length=NAME_LENGTH, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    display_name = forms.CharField(label=_("Display name"), max_length=64, required=False)
    password = forms.CharField(
        label=_("Password"),
        min_length=PASSWORD_LENGTHS[0],
        max_length=PASSWORD_LENGTHS[1],
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    group = forms.ChoiceField(
        label=_("Group"),
        help_text=_("A group sets the prices, and which channels answer. Groups are made in the settings."),
    )

    def __init__(self, *args: Any, options: Options, person: User | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["group"].choices = group_choices(options, person.group if person else "default")  # type: ignore[attr-defined]
        if person is not None:
            password = self.fields["password"]
            password.required = False
            password.help_text = _("Empty: it stays. A new one ends every session of this account.")
            for name in ("username", "display_name", "group"):  # what somebody else changed meanwhile is not undone
                self.fields[name].show_hidden_initial = True


class NewUserForm(UserForm):
    role = forms.ChoiceField(label=_("Role"))
    quota = QuotaField(
        label=_("First balance"), required=False, help_text=_("In addition to what every new account gets.")
    )
    must_change = forms.BooleanField(
        label=_("The password must be changed at the first sign-in"), required=False, initial=True
    )

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [pair for pair in ROLES if int(pair[0]) < by.role]  # type: ignore[attr-defined]
        self.fields["quota"].set_unit(kwargs["options"])  # type: ignore[attr-defined]


class QuotaForm(OnceForm):
    how = forms.ChoiceField(
        label=_("What to do"),
        choices=[(How.ADD, _("Add")), (How.SUBTRACT, _("Subtract")), (How.SET, _("Set to"))],
        initial=How.ADD,
    )
    amount = QuotaField(label=_("Amount"))
    reason = forms.CharField(
        label=_("Reason"), max_length=200, help_text=_("Kept with the ledger and the audit; the user's log shows it.")
    )

    def __init__(self, *args: Any, options: Options, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].set_unit(options)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("amount") == 0 and cleaned.get("how") in (How.ADD, How.SUBTRACT):
            self.add_error("amount", _now("Enter more than 0."))
        return cleaned


class BulkGroupForm(OnceForm):
    group = forms.ChoiceField(label=_("New group"))

    def __init__(self, *args: Any, options: Options, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["group"].choices = group_choices(options)  # type: ignore[attr-defined]


class BulkQuotaForm(OnceForm):
    amount = QuotaField(label=_("Added to each balance"), lowest=1)
    reason = QuotaForm.base_fields["reason"]

    def __init__(self, *args: Any, options: Options, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].set_unit(options)  # type: ignore[attr-defined]


class BulkPlainForm(OnceForm):
    """For acts that ask nothing further."""

    def __init__(self, *args: Any, options: Options, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
