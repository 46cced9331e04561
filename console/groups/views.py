"""The list of groups; adding one, changing its factor, deleting one nobody is in."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import actor_of
from accounts.models import Role
from billing import groups
from billing.groups import BadName, Group, GroupInUse, NameTaken, NoSuchGroup
from console.groups.forms import GroupFilter, GroupForm
from console.guards import page
from console.lists import Column, Listing
from console.respond import back, go, respond
from options import services as option_services
from options.services import BadOptions

COLUMNS = (
    Column("name", gettext_lazy("Group"), ("name",), fixed=True),
    Column("ratio", gettext_lazy("Factor"), ("sort_ratio", "name"), number=True),
    Column("users", gettext_lazy("Users"), ("users", "name"), number=True),
    Column("channels", gettext_lazy("Channels"), ("channels", "name"), number=True),
)


class ShownGroup:
    """A row of the list. A group without a factor counts as 1, and is sorted so."""

    def __init__(self, group: Group) -> None:
        self.name, self.users, self.channels = group.name, group.users, group.channels
        self.known = group.ratio is not None
        self.sort_ratio = 1 if group.ratio is None else group.ratio
        self.ratio = f"{self.sort_ratio:f}"
        self.deletable = self.known and not group.users and not group.channels and group.name != groups.DEFAULT


@page(Role.ROOT)
@require_safe
def group_list(request: HttpRequest) -> HttpResponse:
    filters = GroupFilter(request.GET)
    words = filters.cleaned_data["q"].casefold() if filters.is_valid() else ""
    rows = [ShownGroup(group) for group in groups.groups(option_services.load()) if words in group.name.casefold()]
    listing = Listing(request, "groups", COLUMNS, rows, order="name", filters=filters)
    return respond(request, "console/groups/list.html", {"list": listing}, parts={"list": "console/groups/_table.html"})


@page(Role.ROOT)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    form = GroupForm(request.POST if request.method == "POST" else None, initial={"ratio": "1"})
    if request.method == "POST" and form.is_valid():
        try:
            groups.add(actor_of(request), form.cleaned_data["name"], form.cleaned_data["ratio"])
        except BadName:
            form.add_error("name", _("A name has at most 64 visible characters and no comma."))
        except NameTaken:
            form.add_error("name", _("There is a group of this name already."))
        except BadOptions as error:
            form.add_error("ratio", " ".join(error.problems.values()))
        else:
            messages.success(request, _("The group “%s” is there.") % form.cleaned_data["name"])
            return go(request, back(request, reverse("groups")))
    return _form(request, form, {"title": _("New group"), "action": reverse("group-add")})


@page(Role.ROOT)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """The factor of the group `name`."""
    group = _one(request)
    initial = {"ratio": "1" if group.ratio is None else f"{group.ratio:f}"}
    form = GroupForm(request.POST if request.method == "POST" else None, initial=initial, editing=True)
    if request.method == "POST" and form.is_valid():
        try:
            groups.change(actor_of(request), group.name, form.cleaned_data["ratio"])
        except BadOptions as error:
            form.add_error("ratio", " ".join(error.problems.values()))
        else:
            messages.success(request, _("Saved."))
            return go(request, back(request, reverse("groups")))
    context = {"title": _("Group “%s”") % group.name, "action": reverse("group-edit"), "group": group}
    return _form(request, form, context)


@page(Role.ROOT)
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest) -> HttpResponse:
    group = _one(request)
    if request.method == "POST":
        try:
            groups.delete(actor_of(request), group.name)
        except GroupInUse as error:
            messages.error(request, _in_use(group.name, error))
        except NoSuchGroup:
            messages.info(request, _("This group is not there any more."))
        else:
            messages.success(request, _("The group “%s” is deleted.") % group.name)
        return go(request, back(request, reverse("groups")))
    context = {
        "question": _("Delete the group “%s”?") % group.name,
        "consequence": _("Nobody is in it. Its factor is forgotten."),
        "action": f"{reverse('group-delete')}",
        "verb": _("Delete group"),
        "extra": "console/groups/_name.html",
        "name": group.name,
        "return_to": back(request, reverse("groups")),
    }
    return respond(request, "console/confirm.html", context, parts={"dialog-body": "console/parts/confirm.html"})


def _one(request: HttpRequest) -> Group:
    try:
        return groups.one(option_services.load(), request.POST.get("name") or request.GET.get("name") or "")
    except NoSuchGroup:
        raise Http404 from None


def _in_use(name: str, error: GroupInUse) -> str:
    if name == groups.DEFAULT:
        return _("The group “%s” is that of new users and cannot be deleted.") % name
    users = ngettext("%d user", "%d users", error.users) % error.users
    channels = ngettext("%d channel", "%d channels", error.channels) % error.channels
    told = {"name": name, "users": users, "channels": channels}
    return _("The group “%(name)s” is in use (%(users)s, %(channels)s). Move them first.") % told


def _form(request: HttpRequest, form: GroupForm, context: dict[str, Any]) -> HttpResponse:
    context |= {"form": form, "return_to": back(request, reverse("groups"))}
    status = 422 if request.method == "POST" else 200
    parts = {"drawer-body": "console/groups/_form.html"}
    return respond(request, "console/groups/form.html", context, parts=parts, status=status)
