"""/api: codes and links by mail (management contract, 2.2 and 2.3). Whether an address is known is never told (S14)."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import verification
from accounts.http import actor_of
from accounts.names import clean_email
from accounts.refusals import BadField, WrongCode
from api import messages, throttling, turnstile
from api.bodies import query_text, read_body, required
from api.callers import actor, caller
from api.envelope import Refusal, answer
from api.views import ApiView, PublicView
from notices import mail
from notices import services as notices
from options import services as option_services
from options.registry import Options

DOMAIN_NOT_ALLOWED = "管理员启用了邮箱域名白名单，您的邮箱地址的域名不在白名单中"


class Verification(PublicView):
    """Mails a code. An address that belongs to an account is mailed that it does; the answer is the same."""

    critical = True

    def get(self, request: Request) -> Response:
        options = option_services.load()
        turnstile.check(request, options)
        email = _address(request)
        _check_domain(email, options)
        if not mail.configured(options):
            raise Refusal(messages.MAIL_NOT_SET_UP)
        throttling.spend_mail("verification", email)
        notices.verification_code(email)
        return answer()


class ResetLink(PublicView):
    """Mails a link to whoever has an account with the address, and nothing to anybody else; the answer is the same."""

    critical = True

    def get(self, request: Request) -> Response:
        options = option_services.load()
        turnstile.check(request, options)
        email = _address(request)
        if not mail.configured(options):
            raise Refusal(messages.mail_failed(request._request, messages.MAIL_NOT_SET_UP))
        throttling.spend_mail("reset", email)
        notices.password_reset(email)
        return answer()


class ResetPassword(PublicView):
    critical = True

    def post(self, request: Request) -> Response:
        """`data` is a drawn password, which the console asks to change at the next sign-in."""
        body = read_body(request)
        email, token = body.text("email"), body.text("token")
        required(request, email and token)
        return answer(verification.reset_password(email, token, actor_of(request._request)))


class BindEmail(ApiView):
    critical = True

    def get(self, request: Request) -> Response:
        email, code = query_text(request, "email"), query_text(request, "code")
        user = caller(request)
        throttling.check_email_code_tries(user.pk)
        try:
            verification.bind_email(user.pk, actor(request), email, code)
        except (WrongCode, BadField):
            throttling.count_wrong_email_code(user.pk)
            raise WrongCode from None
        return answer()


def _address(request: Request) -> str:
    """Query parameter `email`, checked by its form. Raises Refusal."""
    try:
        email = clean_email(query_text(request, "email").strip())
    except BadField:
        email = ""
    required(request, email)
    return email


def _check_domain(email: str, options: Options) -> None:
    if not options["EmailDomainRestrictionEnabled"]:
        return
    domain = email.rpartition("@")[2].casefold()
    if domain not in {allowed.casefold().removeprefix("@") for allowed in options["EmailDomainWhitelist"]}:
        raise Refusal(DOMAIN_NOT_ALLOWED)
