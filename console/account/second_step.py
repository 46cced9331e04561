"""The second step of signing in, and passkeys instead of both steps."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts.confirming import safe_path
from accounts.factors import passkeys, pending
from accounts.factors.checking import check_code
from accounts.factors.passkeys import Purpose
from accounts.factors.pending import Pending
from accounts.factors.services import factors_of
from accounts.http import sign_in
from accounts.models import User
from accounts.refusals import WrongSecondFactor
from console.account.factor_forms import CodeForm
from console.account.tries import counted
from console.guards import public


@public
@never_cache
@sensitive_post_parameters("code", "credential")
@counted
def second_step_page(request: HttpRequest) -> HttpResponse:
    """A code of the app, a recovery code, or a passkey. Refused: 422 with the form; too late: back to the beginning."""
    waiting = pending.current(request)
    if waiting is None:
        return redirect(f"{reverse('login')}?expired=true")
    form, refused = CodeForm(request.POST if "code" in request.POST else None), False
    if request.method == "POST":
        try:
            second = _second_proof(request, waiting, form)
        except WrongSecondFactor:
            refused = True
        else:
            if second:
                pending.finish(request, waiting, second)
                return redirect("password" if waiting.user.must_change_password else waiting.target or "dashboard")
    factors = factors_of(waiting.user.pk)
    context = {
        "form": form,
        "refused": refused,
        "name": waiting.user.username,
        "factors": factors,
        "purpose": Purpose.SECOND_STEP,
    }
    return render(request, "console/account/second_step.html", context, status=422 if request.method == "POST" else 200)


def _second_proof(request: HttpRequest, waiting: Pending, form: CodeForm) -> str:
    """Which proof it was; "" where the form is not filled in. Raises WrongSecondFactor, TooMany."""
    if "credential" in request.POST:
        passkeys.check(request, Purpose.SECOND_STEP, request.POST["credential"], waiting.user)
        return "passkey"
    return check_code(waiting.user, form.cleaned_data["code"]) if form.is_valid() else ""


@public
@require_POST
@counted
def passkey_options(request: HttpRequest) -> HttpResponse:
    """What the browser is to ask its keys for, by `purpose`. 400 where that makes no sense here."""
    purpose = request.POST.get("purpose", "")
    if purpose == Purpose.SIGN_IN:
        return JsonResponse(passkeys.begin(request, Purpose.SIGN_IN))
    waiting = pending.current(request)
    if purpose == Purpose.SECOND_STEP and waiting is not None:
        return JsonResponse(passkeys.begin(request, Purpose.SECOND_STEP, waiting.user))
    if isinstance(request.user, User) and purpose == Purpose.CONFIRM:
        return JsonResponse(passkeys.begin(request, Purpose.CONFIRM, request.user))
    if isinstance(request.user, User) and purpose == Purpose.REGISTER:
        return JsonResponse(passkeys.begin_registration(request, request.user))
    return JsonResponse({}, status=400)


@public
@require_POST
@sensitive_post_parameters("credential")
@counted
def passkey_sign_in(request: HttpRequest) -> HttpResponse:
    """A passkey is both proofs at once: something one has, unlocked by what one knows or is."""
    target = safe_path(request.POST.get("next", ""))
    try:
        user = passkeys.check(request, Purpose.SIGN_IN, request.POST.get("credential", ""))
    except WrongSecondFactor:
        return render(request, "console/account/passkey_refused.html", {"next": target}, status=422)
    sign_in(request, user, method="passkey")
    return redirect("password" if user.must_change_password else target or "dashboard")
