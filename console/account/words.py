"""What a person reads where a service refuses: what happened and what to do, in their language."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import refusals

WORDS: dict[type[refusals.Refused], str | Promise] = {
    refusals.BadName: gettext_lazy("This cannot be a user name: 1 to 64 letters and digits, without look-alikes."),
    refusals.NameTaken: gettext_lazy("This user name is taken. Choose another one."),
    refusals.BadPassword: gettext_lazy("The password must have 8 to 128 characters."),
    refusals.EmailTaken: gettext_lazy("This e-mail address belongs to another account."),
    refusals.WrongCode: gettext_lazy("This code is wrong, was used before, or is older than ten minutes."),
    refusals.WrongLink: gettext_lazy("This link was used before or is older than ten minutes. Ask for a new one."),
    refusals.DomainNotAllowed: gettext_lazy("Addresses of this domain are not accepted here. Use another one."),
    refusals.MailNotSetUp: gettext_lazy("No mail can be sent: the operator has not set up a mail server."),
    refusals.IdentityTaken: gettext_lazy("This identity is bound to another account."),
    refusals.MethodOff: gettext_lazy("The operator has switched this way of signing in off."),
    refusals.NoIdentity: gettext_lazy("The provider did not confirm who you are. Please start again."),
    refusals.Unreachable: gettext_lazy("The provider cannot be reached at the moment. Please try again later."),
    refusals.AccountDisabled: gettext_lazy("This account is disabled. Ask the operator why."),
    refusals.RegistrationClosed: gettext_lazy("There is no account for this identity, and new ones are not taken."),
    refusals.LastMethod: gettext_lazy("This is the last way to sign in to your account. Set up another one first."),
    refusals.NotPermitted: gettext_lazy("The root account cannot be deleted."),
}


def said(error: refusals.Refused) -> str:
    return str(WORDS.get(type(error), _("This cannot be taken as it is.")))
