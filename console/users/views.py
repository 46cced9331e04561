"""The list of people, the forms of one, and what is done to one from a row."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import levels
from accounts.access import mail_reset_link, sign_out_everywhere
from accounts.adjusting import AlreadyDone, How, adjust_quota
from accounts.creating import create_for
from accounts.editing import update_user
from accounts.factors import services as factors
from accounts.finding import with_inviters
from accounts.http import actor_of
from accounts.management import act
from accounts.models import Role, User, UserStatus
from accounts.refusals import BadName, BadPassword, NameTaken, NotPermitted, Refused
from audit.services import record
from billing.services import QuotaOutOfRange
from console import formats
from console.csv import csv_answer, newest_first, utc
from console.guards import page
from console.http import signed_in
from console.respond import back, fragment, go, respond
from console.users.forms import NewUserForm, QuotaForm, UserForm, UsersFilter
from console.users.listing import decorate, listing_of, title_of
from console.users.words import words
from options import services as option_services

FIELDS_OF: dict[type[Refused], str] = {BadName: "username", NameTaken: "username", BadPassword: "password"}


@page(Role.ADMIN)
@require_safe
def user_list(request: HttpRequest) -> HttpResponse:
    context = {"list": listing_of(request)}
    return respond(request, "console/users/list.html", context, parts={"list": "console/users/_table.html"})


@page(Role.ADMIN)
@require_safe
def export(request: HttpRequest) -> Any:
    """The people that the filters find, as CSV."""
    wanted = UsersFilter(request.GET, options=option_services.load()).wanted()
    record(actor_of(request), "user.export", "users", query=request.GET.urlencode()[:255])
    columns = [
        "id", "username", "display_name", "email", "role", "status", "group", "quota", "used_quota", "requests",
        "last_active", "created", "inviter_id",
    ]  # fmt: skip
    rows = (
        [
            user.pk, user.username, user.display_name, user.email, user.role, user.status, user.group, user.quota,
            user.used_quota, user.request_count, utc(user.last_active), utc(user.created_time), user.inviter_id,
        ]
        for user in newest_first(wanted.rows())
    )  # fmt: skip
    return csv_answer(request, "users", columns, rows)


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    by, options = signed_in(request), option_services.load()
    form = NewUserForm(request.POST or None, options=options, by=by, initial={"group": "default"})
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            made = create_for(
                by,
                actor_of(request),
                username=typed["username"],
                password=typed["password"],
                display_name=typed["display_name"],
                role=int(typed["role"]),
                group=typed["group"],
                quota=typed["quota"] or 0,
                must_change_password=typed["must_change"],
            )
        except (Refused, QuotaOutOfRange) as refusal:
            _refuse(form, refusal)
        else:
            messages.success(request, _("The account “%s” is made.") % made.username)
            return go(request, back(request, reverse("users")))
    return _form(request, form, "form", {"title": _("New user"), "action": reverse("user-add")})


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Name, display name, password and group. What people bind themselves, and the balance, are not edited here."""
    person, options = changeable(request, pk), option_services.load()
    initial = {name: getattr(person, name) for name in ("username", "display_name", "group")}
    form = UserForm(request.POST or None, options=options, person=person, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            undrawn = {name for name in form.fields if form.add_initial_prefix(name) not in request.POST}
            changes = {name: form.cleaned_data[name] for name in {*undrawn, *form.changed_data}}
            update_user(signed_in(request), actor_of(request), pk, changes)
        except Refused as refusal:
            _refuse(form, refusal)
        else:
            messages.success(request, _("Saved."))
            return go(request, back(request, reverse("users")))
    context = {"title": title_of(person), "action": reverse("user-edit", args=[pk]), "person": person}
    return _form(request, form, "form", context)


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def quota(request: HttpRequest, pk: int) -> HttpResponse:
    """Add, subtract, set: other requests change the balance meanwhile, so no number is read and written back."""
    person, options = changeable(request, pk), option_services.load()
    form = QuotaForm(request.POST or None, options=options)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            _before, after = adjust_quota(
                signed_in(request),
                actor_of(request),
                pk,
                How(typed["how"]),
                typed["amount"],
                typed["reason"],
                once=typed["once"],
            )
        except AlreadyDone:
            messages.info(request, _("This was sent twice, and done once."))
            return go(request, back(request, reverse("users")))
        except (Refused, QuotaOutOfRange) as refusal:
            form.add_error("amount", words(refusal))
        else:
            shown = {"name": person.username, "amount": formats.quota(after, options)}
            messages.success(request, _("The balance of “%(name)s” is now %(amount)s.") % shown)
            return go(request, back(request, reverse("users")))
    context = {
        "title": _("Balance of “%s”") % person.username,
        "action": reverse("user-quota", args=[pk]),
        "person": person,
    }
    return _form(request, form, "quota", context)


@page(Role.ADMIN)
@require_POST
def status(request: HttpRequest, pk: int) -> HttpResponse:
    """`action`: enable or disable. Answers the row where a script asks."""
    wanted = "enable" if request.POST.get("action") == "enable" else "disable"
    _try(request, changeable(request, pk), wanted)
    if request.htmx:  # type: ignore[attr-defined]
        person = with_inviters(User.objects.filter(pk=pk)).get()
        context = {"list": listing_of(request), "person": decorate(person, signed_in(request))}
        return fragment(request, "console/users/_row.html", context)
    return go(request, back(request, reverse("users")))


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def manage(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """promote, demote, delete, sign-out, factors or reset: asked first, then done."""
    if action not in QUESTIONS:
        raise Http404
    person = changeable(request, pk)
    if request.method == "POST":
        _try(request, person, action)
        return go(request, back(request, reverse("users")))
    question, consequence, verb = QUESTIONS[action](person)
    context = {
        "question": question,
        "consequence": consequence,
        "verb": verb,
        "harmless": action not in ("delete", "factors"),
        "typed": person.username if action == "delete" else "",
        "action": reverse("user-manage", args=[pk, action]),
        "return_to": back(request, reverse("users")),
    }
    return respond(request, "console/confirm.html", context, parts={"dialog-body": "console/parts/confirm.html"})


def _try(request: HttpRequest, person: User, action: str) -> None:
    """Do it, and tell in a message what came of it."""
    by, actor, name = signed_in(request), actor_of(request), person.username
    if action == "delete" and request.POST.get("typed") != name:
        messages.error(request, _("Nothing is deleted: the name that was typed is not “%s”.") % name)
        return
    try:
        if action == "sign-out":
            ended = sign_out_everywhere(by, actor, person.pk)
            text = ngettext("%d session is ended.", "%d sessions are ended.", ended) % ended
        elif action == "factors":
            removed = factors.reset(by, actor, person.pk)
            text = ngettext("%d second factor is removed.", "%d second factors are removed.", removed) % removed
        elif action == "reset":
            address = mail_reset_link(by, actor, person.pk)
            text = _("A link to choose a new password is on its way to %s.") % address
        else:
            act(by, actor, person.pk, action)
            text = DONE[action]() % name
    except Refused as refusal:
        messages.error(request, words(refusal))
    else:
        messages.success(request, text)


DONE = {
    "enable": lambda: _("“%s” may sign in and call again."),
    "disable": lambda: _("“%s” is disabled: sessions and keys are refused."),
    "promote": lambda: _("“%s” is an admin now."),
    "demote": lambda: _("“%s” is a plain user now."),
    "delete": lambda: _("The account “%s” is deleted."),
}
QUESTIONS = {
    "promote": lambda person: (
        _("Make “%s” an admin?") % person.username,
        _("Admins manage channels, users, redemption codes and everybody's logs. Their sessions end, to begin anew."),
        _("Make admin"),
    ),
    "demote": lambda person: (
        _("Make “%s” a plain user?") % person.username,
        _("They manage nothing any more. Their sessions end, to begin anew; their keys go on working."),
        _("Make plain user"),
    ),
    "delete": lambda person: (
        _("Delete the account “%s”?") % person.username,
        _(
            "Name, address and bound accounts are wiped, and the API keys are deleted: programs that use them are "
            "refused from then on. Logs and ledger stay, since the books need them. This cannot be undone."
        ),
        _("Delete account"),
    ),
    "sign-out": lambda person: (
        _("Sign “%s” out everywhere?") % person.username,
        _("Every browser that is signed in to this account has to sign in again. API keys go on working."),
        _("Sign out everywhere"),
    ),
    "factors": lambda person: (
        _("Remove the second factors of “%s”?") % person.username,
        _("Authenticator, passkeys and recovery codes are gone: the password alone signs in until they set up others."),
        _("Remove second factors"),
    ),
    "reset": lambda person: (
        _("Send “%s” a link to choose a new password?") % person.username,
        _("It goes to %s, and is good for ten minutes. The present password stays until a new one is chosen.")
        % (person.email or "–"),
        _("Send the link"),
    ),
}


def changeable(request: HttpRequest, pk: int) -> User:
    """The account, for somebody who may change it; 404 and 403 otherwise."""
    person = readable(request, pk)
    if not levels.may_change(signed_in(request), person):
        raise PermissionDenied
    return person


def readable(request: HttpRequest, pk: int) -> User:
    person = with_inviters(User.objects.filter(pk=pk).exclude(status=UserStatus.DELETED)).first()
    if person is None:
        raise Http404
    by = signed_in(request)
    try:
        levels.may_read(by, person)
    except NotPermitted as refusal:
        raise PermissionDenied from refusal
    return decorate(person, by)


def _refuse(form: forms.Form, refusal: Refused | QuotaOutOfRange) -> None:
    field = next((name for kind, name in FIELDS_OF.items() if isinstance(refusal, kind)), None)
    form.add_error(field, words(refusal))


def _form(request: HttpRequest, form: forms.Form, name: str, context: dict[str, Any]) -> HttpResponse:
    """D32: Cancel leads to where one came from."""
    context = {**context, "form": form, "return_to": back(request, reverse("users"))}
    return respond(
        request,
        f"console/users/{name}.html",
        context,
        parts={"drawer-body": f"console/users/_{name}.html"},
        status=422 if request.method == "POST" else 200,
    )
