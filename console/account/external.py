"""Signing in with an account elsewhere: out by a form of ours, back at /oauth/<provider>, where the exchange is made.

A code that was refused is never tried again by itself: it is good once. The page that tells so offers to start anew.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.confirming import confirm, confirmed_recently, is_confirmed, safe_path
from accounts.external import linking, starting, states, wechat
from accounts.external.identity import Identity, Method, Proof
from accounts.external.methods import METHODS, WITH_STATE, identify
from accounts.factors.pending import enter
from accounts.factors.policy import owes_factor
from accounts.http import SignedInRequest, actor_of
from accounts.models import User
from accounts.refusals import Refused, Unreachable, WrongCode
from api import throttling
from api.windows import TooMany
from console.account.factor_forms import WeChatForm
from console.account.providers import LABELS
from console.account.tries import counted
from console.account.words import said
from console.guards import page, public
from console.policy import allow, origin_of
from options import services as option_services

SIGN_IN, BIND, CONFIRM = "sign_in", "bind", "confirm"


@public
@require_POST
@counted
def start(request: HttpRequest, name: str) -> HttpResponse:
    """Send the browser out. `purpose`: sign_in, bind or confirm; `next`: where to go afterwards.

    Who owes a second factor can but confirm, which setting one up may ask for (accounts.middleware lets them through).
    """
    method = _method(name)
    options, purpose = option_services.load(), request.POST.get("purpose", SIGN_IN)
    if not method.enabled(options):
        return _failed(request, name, _("The operator has switched this way of signing in off."))
    if purpose != CONFIRM and _owes(request):
        return redirect("second-factor")
    if purpose == BIND and not (request.user.is_authenticated and is_confirmed(request)):
        return redirect(f"{reverse('confirm')}?next={reverse('personal')}")
    known = origin_of(starting.form_target(name, options))
    target = safe_path(request.POST.get("next", ""))
    try:
        begun = states.begin(request.session, name, ours=True, purpose=purpose, target=target)
        address = starting.address(name, options, begun)
    except states.WrongState:
        return redirect(f"{reverse('login')}?expired=true")
    except Refused as error:
        return _failed(request, name, said(error), status=502)
    if origin_of(address) != known:  # not known when the form was drawn, so that the browser would not follow
        return render(request, "console/account/onward.html", {"address": address, "label": LABELS[name]})
    return redirect(address)


@public
@never_cache
@require_safe
def landing(request: HttpRequest, name: str) -> HttpResponse:
    """Where the provider sends people back to."""
    method = _method(name)
    try:
        throttling.spend_critical(request)
    except TooMany:
        return render(request, "429.html", status=429)
    try:
        expected = states.spend(request.session, name, request.GET.get("state", ""))
    except states.WrongState:
        return _failed(request, name, _("This sign-in was begun elsewhere, is used up or took too long."), status=403)
    if request.GET.get("error"):
        return _failed(request, name, _("You did not agree there, or the provider refused."))
    try:
        identity = identify(method, Proof(request.GET.get("code", ""), expected.verifier, expected.nonce))
        return _arrived(request, method, identity, expected)
    except Refused as error:
        return _failed(request, name, said(error), status=502 if isinstance(error, Unreachable) else 400)


def _arrived(request: HttpRequest, method: Method, identity: Identity, expected: states.Expected) -> HttpResponse:
    """Raises what `linking` refuses."""
    user = request.user if isinstance(request.user, User) else None
    if expected.purpose == CONFIRM:
        owner = linking.owner(method, identity)
        if user is None or owner is None or owner.pk != user.pk:
            return _failed(request, method.name, _("This is not the identity that is bound to your account."))
        confirm(request)
        return redirect(expected.target or "home")
    if _owes(request):  # also by a state of the API's, which says no purpose and would bind
        return redirect("second-factor")
    if user is not None and expected.purpose in (BIND, ""):  # begun by a front end of the reference: it binds
        linking.bind(user.pk, method, identity, actor_of(request))
        messages.success(request, _("%(provider)s is bound to your account.") % {"provider": LABELS[method.name]})
        return redirect("personal")
    if expected.purpose == BIND:
        return redirect(f"{reverse('login')}?expired=true")
    return entered(request, linking.sign_in(method, identity, actor_of(request)), method, expected.target)


def entered(request: HttpRequest, user: User, method: Method, target: str) -> HttpResponse:
    """Signed in, or on to the second step."""
    if not enter(request, user, method=method.name, target=target):
        return redirect("second-step")
    return redirect("password" if user.must_change_password else target or "dashboard")


@public
@never_cache
@counted
def wechat_page(request: HttpRequest) -> HttpResponse:
    """By a code that the operator's WeChat account gives to its followers. A cross-site form brings no CSRF token."""
    target = safe_path(request.POST.get("next") or request.GET.get("next") or "")
    form = WeChatForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            identity = identify(wechat.METHOD, Proof(form.cleaned_data["code"]))
            user = linking.sign_in(wechat.METHOD, identity, actor_of(request))
        except Refused as error:
            form.add_error("code" if isinstance(error, WrongCode) else None, said(error))
        else:
            return entered(request, user, wechat.METHOD, target)
    return _wechat(request, form, {"next": target, "binding": False})


@page()
@confirmed_recently
@counted
def bind_wechat(request: SignedInRequest) -> HttpResponse:
    form = WeChatForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            identity = identify(wechat.METHOD, Proof(form.cleaned_data["code"]))
            linking.bind(request.user.pk, wechat.METHOD, identity, actor_of(request))
        except Refused as error:
            form.add_error("code" if isinstance(error, WrongCode) else None, said(error))
        else:
            messages.success(request, _("%(provider)s is bound to your account.") % {"provider": LABELS["wechat"]})
            return redirect("personal")
    return _wechat(request, form, {"binding": True})


@page()
@require_POST
@confirmed_recently
def unbind(request: SignedInRequest, name: str) -> HttpResponse:
    method = METHODS.get(name)
    if method is None:
        raise Http404
    try:
        linking.unbind(request.user, method, actor_of(request))
    except Refused as error:
        messages.error(request, said(error))
    else:
        messages.success(request, _("%(provider)s is no longer bound to your account.") % {"provider": LABELS[name]})
    return redirect("personal")


def _wechat(request: HttpRequest, form: WeChatForm, context: dict[str, object]) -> HttpResponse:
    options = option_services.load()
    if not wechat.METHOD.enabled(options):
        raise Http404
    picture = options["WeChatAccountQRCodeImageURL"]
    allow(request, "img-src", picture)
    context = {**context, "form": form, "picture": picture if origin_of(picture) else ""}
    return render(request, "console/account/wechat.html", context, status=422 if request.method == "POST" else 200)


def _owes(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and owes_factor(request.user)


def _method(name: str) -> Method:
    if name not in WITH_STATE:
        raise Http404
    return METHODS[name]


def _failed(request: HttpRequest, name: str, text: str, *, status: int = 400) -> HttpResponse:
    options = option_services.load()
    enabled = METHODS[name].enabled(options)
    if enabled:
        allow(request, "form-action", starting.form_target(name, options))
    context = {"name": name, "label": LABELS[name], "text": text, "enabled": enabled}
    return render(request, "console/account/external_failed.html", context, status=status)
