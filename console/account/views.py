"""Signing in and out, and changing one's password."""

from __future__ import annotations

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts.confirming import confirmed_recently
from accounts.factors.pending import enter
from accounts.http import SignedInRequest, actor_of, keep_signed_in, sign_out
from accounts.refusals import AccountDisabled, BadPassword, WrongPassword
from accounts.services import authenticate, update_self
from api import throttling
from console import throttle
from console.account import human, providers
from console.account.forms import ChangePasswordForm, NewPasswordForm, SignInForm
from console.account.words import said
from console.guards import page, public
from options import services as option_services


@public
@never_cache
@sensitive_post_parameters("password")
def login_page(request: HttpRequest) -> HttpResponse:
    """Sign in by name or e-mail address and password. Refused: 422 with the form; tried too often: 429."""
    target = next_address(request)
    if request.method == "GET" and request.user.is_authenticated:
        return redirect(target)
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        try:
            throttle.spend_try(request, request.POST.get("username", ""))
        except throttle.TooManyTriesError:
            return render(request, "429.html", status=429)
        if form.is_valid() and (answer := _sign_in(request, form, target)) is not None:
            return answer
    options = option_services.load()
    suspicious = request.method == "POST" and not throttling.few_wrong_passwords(request.POST.get("username", ""))
    context = {
        "form": form,
        "next": target,
        "expired": request.GET.get("expired") == "true",
        "providers": providers.offered(request, options),
        "may_register": options["RegisterEnabled"] and options["PasswordRegisterEnabled"],
        "by_password": options["PasswordLoginEnabled"],
        "site_key": human.site_key(request, options) if suspicious else "",
    }
    return render(request, "console/account/login.html", context, status=status)


def _sign_in(request: HttpRequest, form: SignInForm, target: str) -> HttpResponse | None:
    """The redirect of a successful sign-in; None with the reason on the form.

    Once an account was given too many wrong passwords, Turnstile is asked too, as over the API.
    """
    options = option_services.load()
    if not options["PasswordLoginEnabled"]:
        form.add_error(None, _("The operator has switched off signing in by password."))
        return None
    try:
        if not throttling.few_wrong_passwords(form.cleaned_data["username"]):
            human.check(request, options)
        user = authenticate(form.cleaned_data["username"], form.cleaned_data["password"])
    except human.NotHumanError as error:
        form.add_error(None, str(error))
        return None
    except WrongPassword:
        throttle.count_wrong_password(form.cleaned_data["username"])
        form.add_error(None, _("The name or the password is wrong, or the account is disabled."))
        return None
    if not enter(request, user, method="password", target=target):
        return redirect("second-step")
    return redirect("password" if user.must_change_password else target)


def next_address(request: HttpRequest) -> str:
    """Where to go after signing in: a path of this site, else the dashboard."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if wanted.startswith("/") and safe else reverse("dashboard")


@public
@require_POST
def logout_page(request: HttpRequest) -> HttpResponse:
    sign_out(request)
    messages.success(request, _("You are logged out."))
    return redirect("login")


@page()
@sensitive_post_parameters("old_password", "new_password", "repeated")
def password_page(request: SignedInRequest) -> HttpResponse:
    """Every other session of this person ends with the change; this one goes on under a new key."""
    if not request.user.has_usable_password():
        return first_password(request)
    form = ChangePasswordForm(request.user, request.POST or None)
    if request.method == "POST":
        try:
            throttle.spend_try(request, request.user.username)
        except throttle.TooManyTriesError:
            return render(request, "429.html", status=429)
        if not form.is_valid() and "old_password" in form.errors:
            throttle.count_wrong_password(request.user.username)
    if request.method == "POST" and form.is_valid() and _changed(request, form, "new_password"):
        return redirect("dashboard")
    status = 422 if request.method == "POST" else 200
    return render(request, "console/account/password.html", {"form": form}, status=status)


@confirmed_recently
def first_password(request: SignedInRequest) -> HttpResponse:
    """Somebody who signs in elsewhere has no password to be asked for, so a recent proof stands for it."""
    form = NewPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and _changed(request, form, "password"):
        return redirect("personal")
    status = 422 if request.method == "POST" else 200
    return render(request, "console/account/password.html", {"form": form}, status=status)


def _changed(request: SignedInRequest, form: Form, field: str) -> bool:
    changes = {"password": form.cleaned_data[field]}
    try:
        user = update_self(request.user, actor_of(request), changes, session_key=request.session.session_key)
    except BadPassword:
        form.add_error(field, _("The password must have 8 to 128 characters."))
        return False
    except AccountDisabled as error:
        form.add_error(field, said(error))
        return False
    keep_signed_in(request, user)
    messages.success(request, _("Your password is changed."))
    return True
