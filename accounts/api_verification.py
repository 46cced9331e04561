"""/api: codes and links by mail (management contract, 2.2 and 2.3). Whether an address is known is never told (S14)."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import proofs, verification
from accounts.http import actor_of
from accounts.refusals import BadField, MailNotSetUp, WrongCode
from api import messages, throttling, turnstile
from api.bodies import query_text, read_body, required
from api.callers import actor, caller
from api.envelope import Refusal, answer
from api.views import ApiView, PublicView
from options import services as option_services


class Verification(PublicView):
    """Mails a code. An address that belongs to an account is mailed that it does; the answer is the same."""

    critical = True

    def get(self, request: Request) -> Response:
        options = option_services.load()
        turnstile.check(request, options)
        try:
            proofs.send_code(query_text(request, "email"), options)
        except BadField:
            raise Refusal(messages.invalid_parameter(request._request)) from None
        return answer()


class ResetLink(PublicView):
    """Mails a link to whoever has an account with the address, and nothing to anybody else; the answer is the same."""

    critical = True

    def get(self, request: Request) -> Response:
        options = option_services.load()
        turnstile.check(request, options)
        try:
            proofs.send_reset_link(query_text(request, "email"), options)
        except BadField:
            raise Refusal(messages.invalid_parameter(request._request)) from None
        except MailNotSetUp as error:
            raise Refusal(messages.mail_failed(request._request, str(error))) from None
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
