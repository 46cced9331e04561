"""The page that asks once more who somebody is (accounts.confirming)."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from accounts.confirming import confirm, safe_path
from accounts.factors import passkeys
from accounts.factors.checking import check_code
from accounts.factors.passkeys import Purpose
from accounts.factors.services import factors_of
from accounts.http import SignedInRequest
from accounts.refusals import WrongPassword, WrongSecondFactor
from accounts.signing_in import check_own_password
from console.account import providers
from console.account.factor_forms import CodeForm, PresentPasswordForm
from console.account.tries import counted
from console.guards import page
from options import services as option_services


@page()
@sensitive_post_parameters("password", "code", "credential")
@counted
def confirm_page(request: SignedInRequest) -> HttpResponse:
    """By password, code or passkey, whichever the account has; then back to `next`."""
    target = safe_path(request.POST.get("next") or request.GET.get("next") or "") or reverse("home")
    password = PresentPasswordForm(request.POST if "password" in request.POST else None)
    code = CodeForm(request.POST if "code" in request.POST else None)
    refused = False
    if request.method == "POST":
        try:
            if _is_shown(request, password, code):
                confirm(request)
                return redirect(target)
        except WrongSecondFactor:
            refused = True
    context = {
        "next": target,
        "password_form": password if request.user.has_usable_password() else None,
        "code_form": code,
        "refused": refused,
        "factors": factors_of(request.user.pk),
        "purpose": Purpose.CONFIRM,
        "providers": [one for one in providers.of(request, option_services.load(), request.user) if _confirms(one)],
    }
    return render(request, "console/account/confirm.html", context, status=422 if request.method == "POST" else 200)


def _confirms(one: providers.Offered) -> bool:
    return bool(one.bound and one.enabled and one.by_form)


def _is_shown(request: SignedInRequest, password: PresentPasswordForm, code: CodeForm) -> bool:
    """Whether the proof that was sent is right; of a password its form tells. Raises WrongSecondFactor, TooMany."""
    try:
        if "credential" in request.POST:
            passkeys.check(request, Purpose.CONFIRM, request.POST["credential"], request.user)
            return True
        if password.is_bound and password.is_valid():
            check_own_password(request.user, password.cleaned_data["password"])
            return True
        if code.is_bound and code.is_valid():
            check_code(request.user, code.cleaned_data["code"])
            return True
    except WrongPassword:
        password.add_error("password", _("This is not your present password."))
    return False
