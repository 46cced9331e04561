"""Trying what is stored: mail, push, the OpenID provider, WeChat Server, Turnstile. Each is bounded in time and size.

What comes back is a sentence for root; nothing of an answer but addresses an OpenID provider tells is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.external import issuer, wechat
from accounts.external.identity import text_of
from accounts.models import User
from accounts.refusals import NoIdentity, Unreachable
from api import turnstile
from notices import trial
from notices.mail import MailError
from notices.pusher import PushError
from options.registry import Options

ENDPOINTS = {
    "authorization_endpoint": "OidcAuthorizationEndpoint",
    "token_endpoint": "OidcTokenEndpoint",
    "userinfo_endpoint": "OidcUserinfoEndpoint",
}


@dataclass(frozen=True)
class Outcome:
    well: bool
    text: str


def mail(options: Options, user: User) -> Outcome:
    if not user.email:
        return Outcome(False, _("Your account has no e-mail address. Bind one in your personal settings first."))
    try:
        trial.send_mail(options, user.email)
    except MailError as error:
        return Outcome(False, _("The mail was not sent: %s") % error)
    return Outcome(True, _("A mail is on its way to %s.") % user.email)


def push(options: Options, user: User) -> Outcome:
    if not options["MessagePusherAddress"]:
        return Outcome(False, _("Fill in first: %s.") % _("Address"))
    try:
        trial.push(options)
    except PushError as error:
        return Outcome(False, _("The message was not taken: %s") % error)
    return Outcome(True, _("The message pusher took the message."))


def wechat_server(options: Options, user: User) -> Outcome:
    if not options["WeChatServerAddress"]:
        return Outcome(False, _("Fill in first: %s.") % _("Address of WeChat Server"))
    try:
        wechat.reach(options)
    except Unreachable:
        return Outcome(False, _("No WeChat Server answers at this address."))
    except NoIdentity:
        return Outcome(False, _("WeChat Server answers, but refuses. Is the token right?"))
    return Outcome(True, _("WeChat Server answers."))


def turnstile_secret(options: Options, user: User) -> Outcome:
    if not options["TurnstileSecretKey"]:
        return Outcome(False, _("Fill in first: %s.") % _("Secret key"))
    problem = turnstile.secret_problem(options)
    if problem:
        return Outcome(False, _("Turnstile does not accept the secret key: %s") % problem)
    return Outcome(True, _("Turnstile accepts the secret key. The site key shows itself at the next registration."))


def discover(address: str) -> tuple[Outcome, dict[str, str]]:
    """What the document at `address` says, and the endpoints in it by their options."""
    if not address.startswith(("https://", "http://")):
        return Outcome(False, _("The discovery address begins with http:// or https://.")), {}
    try:
        document = issuer.discovered(address, fresh=True)
    except (Unreachable, NoIdentity):
        return Outcome(False, _("Nothing that could be read is at the discovery address.")), {}
    found = {key: text for name, key in ENDPOINTS.items() if (text := text_of(document.get(name)))}
    missing = [name for name, key in ENDPOINTS.items() if key not in found]
    if missing:
        return Outcome(False, _("The document names no %s.") % ", ".join(missing)), found
    told = _("The endpoints below are those of %s. Save to keep them.") % (text_of(document.get("issuer")) or address)
    return Outcome(True, told), found


CHECKS: dict[str, Callable[[Options, User], Outcome]] = {
    "mail": mail,
    "push": push,
    "wechat": wechat_server,
    "turnstile": turnstile_secret,
}
