"""Forms for signing in and changing a password."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.names import NAME_LENGTH
from console.fields import QuotaField
from console.preferences import PAGE_SIZES
from options.registry import Options

LONGEST_PASSWORD = 128  # characters; hashing must not be made expensive by whoever types


class SignInForm(forms.Form):
    username = forms.CharField(
        label=_("Username or e-mail"),
        max_length=254,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
        error_messages={"required": _("Enter your username or e-mail address.")},
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=LONGEST_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": _("Enter your password.")},
    )


class ChangePasswordForm(forms.Form):
    """Asks for the present password, so that an unattended screen is not an account given away."""

    old_password = forms.CharField(
        label=_("Present password"),
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )
    new_password = forms.CharField(
        label=_("New password"),
        strip=False,
        min_length=8,
        max_length=LONGEST_PASSWORD,
        help_text=_("At least 8 characters; a few unrelated words are easy to keep in mind and hard to guess."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    repeated = forms.CharField(
        label=_("New password again"),
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        if not self.user.check_password(password):
            raise ValidationError(_("This is not your present password."))
        return password

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        validate_password(password, self.user)
        if self.user.check_password(password):
            raise ValidationError(_("Choose a password other than the present one."))
        return password

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        chosen = cleaned.get("new_password")
        if chosen and cleaned.get("repeated") and chosen != cleaned["repeated"]:
            self.add_error("repeated", _("The two passwords differ."))
        return cleaned


def new_password(label: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        strip=False,
        min_length=8,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class NewPasswordForm(forms.Form):
    """A password chosen by whoever read a mail."""

    password = new_password(_("New password"))
    repeated = new_password(_("New password again"))

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password)
        return password

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("password") and cleaned.get("repeated") and cleaned["password"] != cleaned["repeated"]:
            self.add_error("repeated", _("The two passwords differ."))
        return cleaned


class RegisterForm(NewPasswordForm):
    """`by_mail`: an address and the code that was mailed to it are asked for too."""

    email = forms.EmailField(
        label=_("E-mail"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    code = forms.CharField(
        label=_("Code from the mail"),
        max_length=32,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    username = forms.CharField(
        label=_("Username"),
        max_length=NAME_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = new_password(_("Password"))
    repeated = new_password(_("Password again"))
    field_order = ("email", "code", "username", "password", "repeated")

    def __init__(self, *args: Any, by_mail: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not by_mail:
            del self.fields["email"], self.fields["code"]


class ResetForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True})
    )


class ProfileForm(forms.Form):
    username = forms.CharField(
        label=_("Username"),
        max_length=NAME_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    display_name = forms.CharField(
        label=_("Display name"),
        max_length=NAME_LENGTH,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )


class EmailForm(forms.Form):
    email = forms.EmailField(
        label=_("New address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


class BindEmailForm(forms.Form):
    email = forms.EmailField(max_length=254, widget=forms.HiddenInput)
    code = forms.CharField(
        label=_("Code from the mail"),
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "spellcheck": "false"}),
    )


class ReminderForm(forms.Form):
    remind_below = QuotaField(
        label=_("Tell me by mail when my balance falls below"),
        required=False,
        help_text=_("Empty: as the operator has set it. 0: never."),
    )

    def __init__(self, *args: Any, options: Options, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        quota = self.fields["remind_below"]
        assert isinstance(quota, QuotaField)
        quota.set_unit(options)


class AppearanceForm(forms.Form):
    theme = forms.ChoiceField(
        label=_("Colours"), choices=[("system", _("As the system")), ("light", _("Light")), ("dark", _("Dark"))]
    )
    density = forms.ChoiceField(label=_("Density"), choices=[("normal", _("Normal")), ("compact", _("Compact"))])
    page_size = forms.ChoiceField(label=_("Rows on a page"), choices=[(size, size) for size in PAGE_SIZES])
    zone = forms.ChoiceField(label=_("Time zone"))
    shortcuts = forms.BooleanField(
        label=_("Shortcuts of a single key"),
        required=False,
        help_text=_("“/” to search, “n” for new, “g” then a letter …"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.fields["zone"]
        assert isinstance(zone, forms.ChoiceField)
        zone.choices = [(name, name) for name in sorted(available_timezones())]

    def wishes(self) -> dict[str, str]:
        """As the console's cookies have them."""
        chosen = {name: str(self.cleaned_data[name]) for name in ("theme", "density", "page_size", "zone")}
        return {**chosen, "shortcuts": "on" if self.cleaned_data["shortcuts"] else "off"}


class DeleteForm(forms.Form):
    typed = forms.CharField(
        label=_("Your user name"), widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )

    def __init__(self, username: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.username = username

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if typed != self.username:
            raise ValidationError(_("This is not your user name. Nothing was deleted."))
        return typed
