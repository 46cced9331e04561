"""Refusals of redemptions, in the console's words. Their own texts are the API's contract."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.refusals import Refused
from redemptions.services import (
    BadCode,
    CodeExpired,
    CodeMissing,
    CodeRefused,
    CodeUsed,
    EnoughOfBatch,
    NoCode,
    NoId,
    UnknownCode,
)

WORDS: dict[type[CodeRefused], str | Promise] = {
    UnknownCode: _("There is no such code. Check whether all of its 32 signs are there."),
    CodeUsed: _("This code was redeemed before, or is switched off."),
    CodeExpired: _("This code has expired."),
    EnoughOfBatch: _("You have redeemed as many codes of this kind as one account may."),
    NoCode: _("Enter the code."),
    BadCode: _("This cannot be stored."),
    CodeMissing: _("This code is gone."),
    NoId: _("This code is gone."),
}


def words(refusal: CodeRefused | Refused) -> str:
    """What happened, for people."""
    if isinstance(refusal, CodeRefused):
        return str(WORDS.get(type(refusal), refusal))
    return str(_("This cannot be stored."))
