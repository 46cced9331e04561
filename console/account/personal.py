"""Personal settings: one page of sections, each a form with an address of its own (console reference, 4.6)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Sum
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts import proofs, sessions, verification
from accounts.confirming import confirmed_recently
from accounts.factors.services import factors_of
from accounts.http import SignedInRequest, actor_of, sign_out
from accounts.models import Role, User, UserStatus
from accounts.refusals import (
    AccountDisabled,
    BadField,
    DomainNotAllowed,
    EmailTaken,
    MailNotSetUp,
    Refused,
    WrongCode,
)
from accounts.services import delete_self, invitation_code, renew_access_token, update_self
from api import throttling
from billing.models import EntryKind, LedgerEntry
from console import preferences
from console.account import human, providers
from console.account.device import device, way
from console.account.forms import (
    AppearanceForm,
    BindEmailForm,
    DeleteForm,
    EmailForm,
    ProfileForm,
    ReminderForm,
)
from console.account.tries import counted
from console.account.words import said
from console.guards import page
from console.site import base_address
from options import services as option_services


@page()
def personal_page(request: SignedInRequest) -> HttpResponse:
    return _page(request)


@page()
@require_POST
@confirmed_recently
def save_profile(request: SignedInRequest) -> HttpResponse:
    """The name, which the password goes with, and the display name, which may be emptied (D24)."""
    form = ProfileForm(request.POST)
    if form.is_valid():
        try:
            update_self(request.user, actor_of(request), form.cleaned_data)
        except BadField:
            form.add_error("display_name", _("This name cannot be used."))
        except Refused as error:
            form.add_error("username", said(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("personal")
    return _page(request, profile_form=form)


@page()
@require_POST
def save_appearance(request: SignedInRequest) -> HttpResponse:
    form = AppearanceForm(request.POST)
    if not form.is_valid():
        return _page(request, appearance_form=form)
    messages.success(request, _("Saved."))
    answer = redirect(f"{reverse('personal')}#appearance")
    preferences.remember(request, answer, form.wishes())
    return answer


@page()
@require_POST
def save_reminder(request: SignedInRequest) -> HttpResponse:
    """Points below which a mail comes; nothing typed is the operator's own threshold, 0 is never."""
    form = ReminderForm(request.POST, options=option_services.load())
    if not form.is_valid():
        return _page(request, reminder_form=form)
    User.objects.filter(pk=request.user.pk).update(remind_below=form.cleaned_data["remind_below"])
    messages.success(request, _("Saved."))
    return redirect(f"{reverse('personal')}#notifications")


@page()
@require_POST
@confirmed_recently
@counted
def mail_code(request: SignedInRequest) -> HttpResponse:
    """The first step of binding an address: a code goes there."""
    options, form = option_services.load(), EmailForm(request.POST)
    if form.is_valid():
        try:
            human.check(request, options)
            address = proofs.send_code(form.cleaned_data["email"], options)
        except human.NotHumanError as error:
            form.add_error("email", str(error))
        except (DomainNotAllowed, MailNotSetUp) as error:
            form.add_error("email", said(error))
        else:
            text = _("A code is on its way to %(address)s. It is good for ten minutes.") % {"address": address}
            messages.info(request, text)
            return _page(request, bind_form=BindEmailForm(initial={"email": address}), status=200)
    return _page(request, email_form=form)


@page()
@require_POST
@confirmed_recently
@counted
def bind_email(request: SignedInRequest) -> HttpResponse:
    """The second step: the code shows that the mail is read."""
    form = BindEmailForm(request.POST)
    throttling.check_email_code_tries(request.user.pk)
    if form.is_valid():
        email, code = form.cleaned_data["email"], form.cleaned_data["code"]
        try:
            verification.bind_email(request.user.pk, actor_of(request), email, code)
        except (WrongCode, BadField):
            throttling.count_wrong_email_code(request.user.pk)
            form.add_error("code", said(WrongCode()))
        except (EmailTaken, AccountDisabled) as error:
            form.add_error("email", said(error))
        else:
            messages.success(request, _("Your e-mail address is bound."))
            return redirect(f"{reverse('personal')}#sign-in")
    return _page(request, bind_form=form)


@page()
@require_POST
def end_session(request: SignedInRequest, pk: int) -> HttpResponse:
    if sessions.end_session(request.user.pk, pk):
        messages.success(request, _("The session has ended."))
    return redirect(f"{reverse('personal')}#sessions")


@page()
@require_POST
def end_other_sessions(request: SignedInRequest) -> HttpResponse:
    ended = sessions.end_sessions(request.user.pk, keep=request.session.session_key)
    messages.success(request, _("Sessions ended: %(count)d.") % {"count": ended})
    return redirect(f"{reverse('personal')}#sessions")


@page()
@require_POST
def make_invitation(request: SignedInRequest) -> HttpResponse:
    """Root, and accounts from elsewhere, have no code before they want one (D42: not by looking at a page)."""
    invitation_code(request.user.pk)
    return redirect(f"{reverse('personal')}#invite")


@page()
@confirmed_recently
def renew_token(request: SignedInRequest) -> HttpResponse:
    """Asks first, since programs with the former token stop working; the new one is in this one answer."""
    if request.method == "POST":
        token = renew_access_token(request.user.pk, actor_of(request))
        return render(request, "console/account/token_made.html", {"token": token})
    context = {
        "question": _("Make a new system token?"),
        "consequence": _("It is shown once. Programs that use the present one are refused from then on."),
        "action": reverse("renew-token"),
        "verb": _("Make a new token"),
        "return_to": reverse("personal"),
        "harmless": not request.user.access_token_digest,
    }
    return render(request, "console/confirm.html", context)


@page()
@confirmed_recently
@counted
def delete_account(request: SignedInRequest) -> HttpResponse:
    form = DeleteForm(request.user.username, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            delete_self(request.user, actor_of(request))
        except Refused as error:
            form.add_error(None, said(error))
        else:
            sign_out(request)
            messages.success(request, _("Your account is deleted."))
            return redirect("login")
    context = {"form": form, "is_root": request.user.role >= Role.ROOT}
    return render(request, "console/account/delete.html", context, status=422 if form.errors else 200)


def _page(request: SignedInRequest, *, status: int | None = None, **bound: forms.Form) -> HttpResponse:
    """The whole page, with the form that was sent in place of a fresh one. 422 where it was refused."""
    options = option_services.load()
    user = User.objects.get(pk=request.user.pk)
    wants = preferences.of(request)
    alive = list(sessions.live(user.pk)[:100])
    for one in alive:
        one.device = device(one.user_agent)  # type: ignore[attr-defined]
        one.way = way(one.method)  # type: ignore[attr-defined]
        one.here = one.session_key == request.session.session_key  # type: ignore[attr-defined]
    appearance = {"theme": wants.theme, "density": wants.density, "page_size": str(wants.page_size), "zone": wants.zone}
    context: dict[str, Any] = {
        "account": user,
        "factors": factors_of(user.pk),
        "providers": [one for one in providers.of(request, options, user) if one.enabled or one.bound],
        "sessions": alive,
        "invite_link": f"{base_address(request, options)}{reverse('register')}?aff={user.aff_code}"
        if user.aff_code
        else "",
        "invited": User.objects.filter(inviter_id=user.pk).exclude(status=UserStatus.DELETED).count(),
        "earned": _earned(user.pk),
        "site_key": human.site_key(request, options),
        "profile_form": ProfileForm(initial={"username": user.username, "display_name": user.display_name}),
        "email_form": EmailForm(),
        "bind_form": None,
        "reminder_form": ReminderForm(initial={"remind_below": user.remind_below}, options=options),
        "appearance_form": AppearanceForm(initial={**appearance, "shortcuts": wants.shortcuts}),
        **bound,
    }
    return render(request, "console/account/personal.html", context, status=status or (422 if bound else 200))


def _earned(user_id: int) -> int:
    rows = LedgerEntry.objects.filter(user_id=user_id, kind=EntryKind.INVITATION)
    return int(rows.aggregate(sum=Sum("amount"))["sum"] or 0)
