"""A forgotten password: a link by mail, and behind it a password of one's own choice (console reference, D8, D9)."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from accounts import proofs, verification
from accounts.http import actor_of
from accounts.refusals import BadPassword, MailNotSetUp, Refused
from console.account import human
from console.account.forms import NewPasswordForm, ResetForm
from console.account.tries import counted
from console.account.words import said
from console.guards import public
from options import services as option_services


@public
@never_cache
@counted
def reset_page(request: HttpRequest) -> HttpResponse:
    """The answer is the same whether the address is known."""
    options, form, sent = option_services.load(), ResetForm(request.POST or None), False
    if request.method == "POST" and form.is_valid():
        try:
            human.check(request, options)
            proofs.send_reset_link(form.cleaned_data["email"], options)
        except human.NotHumanError as error:
            form.add_error(None, str(error))
        except MailNotSetUp as error:
            form.add_error(None, said(error))
        except Refused:
            form.add_error("email", _("This is no e-mail address."))
        else:
            sent = True
    status = 422 if request.method == "POST" and not sent else 200
    context = {"form": form, "sent": sent, "site_key": human.site_key(request, options)}
    return render(request, "console/account/reset.html", context, status=status)


@public
@never_cache
@sensitive_post_parameters("token", "password", "repeated")
@counted
def choose_password_page(request: HttpRequest) -> HttpResponse:
    """The address of the mailed link: `email` and `token` in the query, as links of the reference have them."""
    source = request.POST if request.method == "POST" else request.GET
    email, token = source.get("email", ""), source.get("token", "")
    form = NewPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            verification.choose_password(email, token, form.cleaned_data["password"], actor_of(request))
        except BadPassword as error:
            form.add_error("password", said(error))
        except Refused as error:
            form.add_error(None, said(error))
        else:
            messages.success(request, _("Your new password is set, and every session has ended. Log in with it."))
            return redirect("login")
    context = {"form": form, "email": email, "token": token, "complete": bool(email and token)}
    answer = render(request, "console/account/choose_password.html", context, status=422 if form.errors else 200)
    answer["Referrer-Policy"] = "no-referrer"  # the link in the address is a credential
    return answer
