"""/api/oauth: signing in with an account elsewhere, and binding one (management contract, 2.3 and section 7).

The front ends open the provider's page themselves and hand `code` and `state` on from their landing page.
"""

from __future__ import annotations

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import partial_json
from accounts.external import github, lark, linking, methods, oidc, states, wechat
from accounts.external.identity import Identity, Method, Proof
from accounts.factors.pending import enter
from accounts.factors.policy import owes_factor
from accounts.http import actor_of, session_user, sign_out
from accounts.models import User, UserStatus
from accounts.refusals import BadField, SecondFactorNeeded
from api import messages
from api.authentication import refuse_foreign_origin
from api.bodies import query_text
from api.callers import actor, caller
from api.envelope import Refusal, answer
from api.views import ApiView, PublicView

WRONG_STATE = "state is empty or not same"
SESSION_GONE = "无法保存会话信息，请重试"


class State(PublicView):
    """A state for one journey. `provider`, which the reference's front ends leave out, binds it to that one."""

    critical = True

    def get(self, request: Request) -> Response:
        provider = query_text(request, "provider")
        if provider and provider not in methods.WITH_STATE:
            raise BadField
        try:
            return answer(states.begin(request._request.session, provider).state)
        except states.WrongState:
            raise Refusal(SESSION_GONE) from None


class WithState(PublicView):
    """Signs in; who is signed in by cookie already gets the identity bound instead. Access tokens do not count."""

    critical = True
    method: ClassVar[Method]

    def get(self, request: Request) -> Response:
        http = request._request
        try:
            expected = states.spend(http.session, self.method.name, query_text(request, "state"))
        except states.WrongState:
            raise Refusal(WRONG_STATE, status=403) from None
        user = _signed_in(request)
        proof = Proof(query_text(request, "code"), expected.verifier, expected.nonce)
        identity = methods.identify(self.method, proof)
        if user is None:
            return _signed_in_as(request, self.method, identity)
        linking.bind(user.pk, self.method, identity, actor_of(http, user))
        return answer(message="bind")


class GitHub(WithState):
    method = github.METHOD


class Lark(WithState):
    method = lark.METHOD


class Oidc(WithState):
    method = oidc.METHOD


class WeChat(PublicView):
    """By a code that a person got in WeChat. Another site must not sign people in to an account of its choice."""

    critical = True

    def get(self, request: Request) -> Response:
        refuse_foreign_origin(request._request)
        identity = methods.identify(wechat.METHOD, Proof(query_text(request, "code")))
        return _signed_in_as(request, wechat.METHOD, identity)


class BindWeChat(ApiView):
    critical = True

    def get(self, request: Request) -> Response:
        identity = methods.identify(wechat.METHOD, Proof(query_text(request, "code")))
        linking.bind(caller(request).pk, wechat.METHOD, identity, actor(request))
        return answer()


def _signed_in(request: Request) -> User | None:
    """Whose cookie came along. Raises Refusal where it owes a factor, or, ending the session, is not enabled."""
    user = session_user(request._request)
    if user is not None and user.status != UserStatus.ENABLED:
        sign_out(request._request)
        raise Refusal(messages.BANNED)
    if user is not None and owes_factor(user):
        raise Refusal(messages.FACTOR_FIRST, status=401)
    return user


def _signed_in_as(request: Request, method: Method, identity: Identity) -> Response:
    """The answer of POST /api/user/login. Who owes a second step finds the page at /login/verify ready to take it."""
    user = linking.sign_in(method, identity, actor_of(request._request))
    if not enter(request._request, user, method=method.name):
        raise SecondFactorNeeded
    return answer(partial_json(user, "id", "username", "display_name", "role", "status"))
