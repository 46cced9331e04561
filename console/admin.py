"""Tables of Django's own that have no use here: rights follow from the role alone (accounts.models.User.has_perm)."""

from django.contrib import admin
from django.contrib.auth.models import Group

admin.site.unregister(Group)
