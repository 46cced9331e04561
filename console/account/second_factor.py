"""Setting up a second factor: an authenticator app by its QR code, or a passkey; and the recovery codes, shown once."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts.confirming import confirmed_recently
from accounts.factors import passkeys, services, totp
from accounts.factors.passkeys import Purpose
from accounts.factors.policy import owes_factor
from accounts.http import SignedInRequest, actor_of
from accounts.refusals import BadField, FactorExists, LastMethod, NotFound, WrongSecondFactor
from console.account.factor_forms import CodeForm, PasskeyForm
from console.account.tries import counted
from console.guards import page
from vault.keys import decrypt, encrypt

PAGE = "console/account/second_factor.html"


@page()
@confirmed_recently
def second_factor_page(request: SignedInRequest) -> HttpResponse:
    return _page(request, CodeForm(), PasskeyForm())


@page()
@require_POST
@sensitive_post_parameters("code")
@confirmed_recently
@counted
def add_app(request: SignedInRequest) -> HttpResponse:
    """The app has read the secret when it shows the right code."""
    form = CodeForm(request.POST)
    secret = _secret(request)
    if form.is_valid():
        try:
            codes = services.add_totp(request.user, actor_of(request), secret, form.cleaned_data["code"])
        except WrongSecondFactor:
            form.add_error("code", _("This is not the code the app shows now. Is the clock of your phone right?"))
        except FactorExists:
            form.add_error(None, _("Your account has an authenticator app already."))
        else:
            del request.session[totp.SECRET]
            return _done(request, codes, _("The authenticator app is set up."))
    return _page(request, form, PasskeyForm(), status=422)


@page()
@require_POST
@confirmed_recently
@counted
def add_passkey(request: SignedInRequest) -> HttpResponse:
    form = PasskeyForm(request.POST)
    if form.is_valid():
        name, answer = form.cleaned_data["name"], form.cleaned_data["credential"]
        try:
            codes = passkeys.register(request, request.user, actor_of(request), name, answer)
        except WrongSecondFactor:
            form.add_error(None, _("The passkey could not be taken. Please try again."))
        except BadField:
            form.add_error("name", _("This name cannot be used."))
        except FactorExists:
            form.add_error(None, _("Your account has as many passkeys as it may have."))
        else:
            return _done(request, codes, _("The passkey is set up."))
    return _page(request, CodeForm(), form, status=422)


@page()
@require_POST
@confirmed_recently
def renew_codes(request: SignedInRequest) -> HttpResponse:
    try:
        codes = services.renew_codes(request.user, actor_of(request))
    except NotFound:
        return redirect("second-factor")
    return _done(request, codes, _("Your former recovery codes are good no more."))


@page()
@require_POST
@confirmed_recently
def remove(request: SignedInRequest, pk: int) -> HttpResponse:
    try:
        services.remove(request.user, actor_of(request), pk)
    except LastMethod:
        messages.error(request, _("This is the last way to sign in to your account. Set up another one first."))
    except NotFound:
        messages.info(request, _("It is gone already."))
    else:
        messages.success(request, _("Removed."))
    return redirect("second-factor")


def _done(request: HttpRequest, codes: list[str], text: str) -> HttpResponse:
    """The recovery codes are in this one answer; without new ones, back to the page."""
    messages.success(request, text)
    return (
        render(request, "console/account/recovery_codes.html", {"codes": codes}) if codes else redirect("second-factor")
    )


def _page(request: SignedInRequest, code: CodeForm, passkey: PasskeyForm, *, status: int = 200) -> HttpResponse:
    factors = services.factors_of(request.user.pk)
    context = {
        "factors": factors,
        "owed": owes_factor(request.user),
        "code_form": code,
        "passkey_form": passkey,
        "purpose": Purpose.REGISTER,
    }
    if factors.totp is None:
        secret = _secret(request)
        link = totp.address(request.user, secret)
        context |= {"secret": secret, "link": link, "picture": mark_safe(totp.picture(link))}  # noqa: S308
    return render(request, PAGE, context, status=status)


def _secret(request: HttpRequest) -> str:
    """What the app is to be told, kept encrypted in the session until the app has shown a code."""
    kept = request.session.get(totp.SECRET)
    if kept:
        return decrypt(kept)
    secret: str = totp.new_secret()
    request.session[totp.SECRET] = encrypt(secret)
    return secret
