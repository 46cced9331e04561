"""Forms of the pages on which people sign in and look after their account."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.factors.checking import LONGEST
from accounts.factors.passkeys import LONGEST as LONGEST_ANSWER
from accounts.factors.passkeys import NAME_LENGTH
from accounts.names import PASSWORD_LENGTHS


class CodeForm(forms.Form):
    """A code of an authenticator app, or a recovery code."""

    code = forms.CharField(
        label=_("Code"),
        max_length=LONGEST,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True, "spellcheck": "false"}
        ),
    )


class PresentPasswordForm(forms.Form):
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=PASSWORD_LENGTHS[1],
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


class PasskeyForm(forms.Form):
    """`credential` is filled in by the script, from what the browser's key has answered."""

    name = forms.CharField(
        label=_("Name of the passkey"),
        max_length=NAME_LENGTH,
        help_text=_("So that you know it again: “Laptop”, “Blue key”."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    credential = forms.CharField(max_length=LONGEST_ANSWER, widget=forms.HiddenInput)


class WeChatForm(forms.Form):
    code = forms.CharField(
        label=_("Code from WeChat"),
        max_length=64,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}),
    )
