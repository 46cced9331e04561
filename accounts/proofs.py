"""Having a code or a link mailed. Whether an address is known is neither told nor to be felt (S14).

Each raises BadField for what is no address, MailNotSetUp, and TooMany for one address that gets too many.
"""

from __future__ import annotations

from accounts.names import clean_email
from accounts.refusals import BadField, DomainNotAllowed, MailNotSetUp
from api import throttling
from notices import mail
from notices import services as notices
from options.registry import Options


def send_code(email: str, options: Options) -> str:
    """A code to register with this address or to bind it; returns the address. Raises DomainNotAllowed."""
    email = _address(email)
    _check_domain(email, options)
    _check_mail(options)
    throttling.spend_mail("verification", email)
    notices.verification_code(email)
    return email


def send_reset_link(email: str, options: Options) -> None:
    """A link to whoever has an account with the address, and nothing to anybody else."""
    email = _address(email)
    _check_mail(options)
    throttling.spend_mail("reset", email)
    notices.password_reset(email)


def _address(email: str) -> str:
    email = clean_email(email.strip())
    if not email:
        raise BadField
    try:
        mail.ascii_address(email)
    except ValueError:  # a quoted one, which may hold what looks like others, is never delivered
        raise BadField from None
    return email


def _check_mail(options: Options) -> None:
    if not mail.configured(options):
        raise MailNotSetUp


def _check_domain(email: str, options: Options) -> None:
    if not options["EmailDomainRestrictionEnabled"]:
        return
    domain = email.rpartition("@")[2].casefold()
    if domain not in {allowed.casefold().removeprefix("@") for allowed in options["EmailDomainWhitelist"]}:
        raise DomainNotAllowed
