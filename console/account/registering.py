"""Making an account by name and password, with a mailed code where the operator asks for one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts import proofs, verification
from accounts.http import actor_of
from accounts.refusals import BadName, BadPassword, DomainNotAllowed, EmailTaken, NameTaken, Refused, WrongCode
from console.account import human, providers
from console.account.forms import RegisterForm
from console.account.tries import counted
from console.account.words import said
from console.guards import public
from options import services as option_services
from options.registry import Options

INVITED = "aff"  # signed cookie: who invited this browser, also if registering comes later
INVITED_FOR = 30 * 24 * 3600  # seconds
BOXES: dict[type[Refused], str] = {
    BadName: "username",
    NameTaken: "username",
    BadPassword: "password",
    EmailTaken: "email",
    DomainNotAllowed: "email",
    WrongCode: "code",
}


@public
@never_cache
@sensitive_post_parameters("password", "repeated")
@counted
def register_page(request: HttpRequest) -> HttpResponse:
    """Refused: 422 with the form. The invitation of the address (`aff`) is kept in this browser for 30 days."""
    options = option_services.load()
    form = RegisterForm(request.POST or None, by_mail=options["EmailVerificationEnabled"])
    if request.method == "POST" and _open(options) and form.is_valid() and _registered(request, options, form):
        messages.success(request, _("Your account is made. Log in with it."))
        answer: HttpResponse = redirect("login")
        answer.delete_cookie(INVITED)
        return answer
    answer = _page(request, options, form, status=422 if request.method == "POST" else 200)
    if (code := request.GET.get("aff", "")[:32]) and code.isascii() and code.isprintable():  # all a cookie holds
        _remember(request, answer, code)
    return answer


@public
@require_POST
@counted
def register_code(request: HttpRequest) -> HttpResponse:
    """Mail a code to the address typed: into the form for htmx, else the page with what was typed but the passwords."""
    options = option_services.load()
    sent, text = _sent(request, options)
    context: dict[str, Any] = {"sent": sent, "text": text}
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "console/account/_code_sent.html", context)
    typed = {name: request.POST.get(name, "") for name in ("username", "email")}
    form = RegisterForm(initial=typed, by_mail=True)
    return _page(request, options, form, **context)


def _sent(request: HttpRequest, options: Options) -> tuple[bool, str]:
    """Whether a mail is on its way, and what to tell. Raises TooMany."""
    try:
        human.check(request, options)
        address = proofs.send_code(request.POST.get("email", ""), options)
    except human.NotHumanError as error:
        return False, str(error)
    except DomainNotAllowed as error:
        return False, said(error)
    except Refused as error:
        known = said(error)
        return False, known if type(error).__name__ == "MailNotSetUp" else _("This is no e-mail address.")
    return True, _("A code is on its way to %(address)s. It is good for ten minutes.") % {"address": address}


def _open(options: Options) -> bool:
    return bool(options["RegisterEnabled"] and options["PasswordRegisterEnabled"])


def _registered(request: HttpRequest, options: Options, form: RegisterForm) -> bool:
    """Whether the account is made; if not, the form says why."""
    typed = form.cleaned_data
    try:
        human.check(request, options)
        verification.register(
            username=typed["username"],
            password=typed["password"],
            inviter_code=_invited(request),
            proven=(typed["email"], typed["code"]) if options["EmailVerificationEnabled"] else None,
            actor=actor_of(request),
        )
    except human.NotHumanError as error:
        form.add_error(None, str(error))
    except Refused as error:
        form.add_error(BOXES.get(type(error)), said(error))
    else:
        return True
    return False


def _remember(request: HttpRequest, answer: HttpResponseBase, code: str) -> None:
    answer.set_signed_cookie(
        INVITED, code, salt=INVITED, max_age=INVITED_FOR, httponly=True, samesite="Lax", secure=request.is_secure()
    )


def _invited(request: HttpRequest) -> str:
    """The code in the cookie; "" for none, an old one, or one that we did not sign."""
    try:
        return str(request.get_signed_cookie(INVITED, "", salt=INVITED, max_age=INVITED_FOR))
    except signing.BadSignature:
        return ""


def _page(
    request: HttpRequest, options: Options, form: RegisterForm, *, status: int = 200, **more: Any
) -> HttpResponse:
    context = {
        "form": form,
        "open": _open(options),
        "providers": providers.offered(request, options) if options["RegisterEnabled"] else [],
        "site_key": human.site_key(request, options),
        **more,
    }
    return render(request, "console/account/register.html", context, status=status)
