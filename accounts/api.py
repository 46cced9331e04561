"""/api/user: signing in and out, and one's own account (management contract, 2.2 and 2.4)."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services, verification
from accounts.factors.checking import check_code
from accounts.factors.policy import has_factor
from accounts.http import actor_of, keep_signed_in, session_user, sign_in, sign_out
from accounts.models import User
from accounts.refusals import BadField, BadName, BadPassword, SecondFactorNeeded, WrongPassword
from api import messages, throttling, turnstile
from api.authentication import refuse_foreign_origin
from api.bodies import read_body, required
from api.callers import actor, caller
from api.envelope import Refusal, answer
from api.views import ApiView, PublicView
from billing import reports
from channels_app.services import usable_models
from options import services as option_services
from redemptions import services as redemptions

BAD_INPUT = (BadName, BadPassword, BadField)


def user_json(user: User) -> dict[str, Any]:
    """The user object. Credentials are never told, and no text is null."""
    return {
        "id": user.pk,
        "username": user.username,
        "password": "",
        "display_name": user.display_name,
        "role": user.role,
        "status": user.status,
        "email": user.email,
        "github_id": user.github_id or "",
        "wechat_id": user.wechat_id or "",
        "lark_id": user.lark_id or "",
        "oidc_id": user.oidc_id or "",
        "verification_code": "",
        "access_token": "",
        "quota": user.quota,
        "used_quota": user.used_quota,
        "request_count": user.request_count,
        "group": user.group,
        "aff_code": user.aff_code or "",
        "inviter_id": user.inviter_id,
    }


def partial_json(user: User, *names: str) -> dict[str, Any]:
    """A user object in which only these members say something."""
    blank = {name: "" if isinstance(value, str) else 0 for name, value in user_json(user).items()}
    return {**blank, **{name: user_json(user)[name] for name in names}}


class SignIn(PublicView):
    critical = True

    def post(self, request: Request) -> Response:
        """By user name or e-mail address, and `code` where the account has a second factor.

        Browsers keep what `data` says of the account.
        """
        refuse_foreign_origin(request._request)
        options = option_services.load()
        if not options["PasswordLoginEnabled"]:
            raise Refusal("管理员关闭了密码登录")
        body = read_body(request)
        name, password = body.text("username"), body.text("password")
        required(request, name and password)
        throttling.check_password_tries(name)
        if not throttling.few_wrong_passwords(name):
            turnstile.check(request, options)
        try:
            user = services.authenticate(name, password)
        except WrongPassword:
            throttling.count_wrong_password(name)
            raise
        method = "password"
        if has_factor(user.pk):
            code = body.text("code")
            if not code:
                raise SecondFactorNeeded
            method += f"+{check_code(user, code)}"
        sign_in(request._request, user, method=method)
        return answer(partial_json(user, "id", "username", "display_name", "role", "status"))


class SignOut(PublicView):
    def get(self, request: Request) -> Response:
        if session_user(request._request) is not None:
            refuse_foreign_origin(request._request)
            sign_out(request._request)
        return answer()


class Register(PublicView):
    critical = True

    def post(self, request: Request) -> Response:
        options = option_services.load()
        turnstile.check(request, options)
        if not options["RegisterEnabled"]:
            raise Refusal("管理员关闭了新用户注册")
        if not options["PasswordRegisterEnabled"]:
            raise Refusal("管理员关闭了通过密码进行注册，请使用第三方账户验证的形式进行注册")
        body = read_body(request)
        email, code = body.text("email"), body.text("verification_code")
        if options["EmailVerificationEnabled"] and not (email and code):
            raise Refusal("管理员开启了邮箱验证，请输入邮箱地址和验证码")
        try:
            verification.register(
                username=body.text("username"),
                password=body.text("password"),
                inviter_code=body.text("aff_code"),
                proven=(email, code) if options["EmailVerificationEnabled"] else None,
                actor=actor_of(request._request),
            )
        except BAD_INPUT:
            raise Refusal(messages.invalid_input(request._request)) from None
        return answer()


class Self(ApiView):
    def get(self, request: Request) -> Response:
        return answer(user_json(caller(request)))

    def put(self, request: Request) -> Response:
        """`username`, `display_name`, `password`; whatever else a front end sends along is ignored."""
        body = read_body(request)
        names = ("username", "display_name", "password", "original_password")
        changes = {name: body.text(name) for name in names if name in body}
        session = request._request.session
        by_session = request.auth == "session"
        if changes.get("original_password"):
            throttling.check_password_tries(caller(request).username)
        try:
            user = services.update_self(
                caller(request),
                actor(request),
                changes,
                session_key=session.session_key if by_session else None,
            )
        except WrongPassword:
            throttling.count_wrong_password(caller(request).username)
            raise
        if by_session and user.password != caller(request).password:
            keep_signed_in(request._request, user)
        return answer()

    def delete(self, request: Request) -> Response:
        services.delete_self(caller(request), actor(request))
        return answer()


class Dashboard(ApiView):
    def get(self, request: Request) -> Response:
        """The last seven UTC days by model. The capitals are the contract's."""
        rows = [
            {
                "Day": row.day,
                "ModelName": row.model_name,
                "RequestCount": row.requests,
                "Quota": row.quota,
                "PromptTokens": row.prompt_tokens,
                "CompletionTokens": row.completion_tokens,
            }
            for row in reports.last_days(caller(request).pk)
        ]
        return answer(rows)


class AccessToken(ApiView):
    def get(self, request: Request) -> Response:
        """A new management token, told this once; the old one stops working."""
        return answer(services.renew_access_token(caller(request).pk, actor(request)))


class InvitationCode(ApiView):
    def get(self, request: Request) -> Response:
        return answer(services.invitation_code(caller(request).pk))


class Redeem(ApiView):
    echoes = True

    def post(self, request: Request) -> Response:
        key = read_body(request).text("key")
        throttling.check_code_tries(caller(request).pk)
        try:
            return answer(redemptions.redeem(caller(request).pk, key, request_id=actor(request).request_id))
        except redemptions.UnknownCode:
            throttling.count_wrong_code(caller(request).pk)
            raise


class AvailableModels(ApiView):
    def get(self, request: Request) -> Response:
        return answer(usable_models(caller(request).group))
