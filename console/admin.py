"""Tables of others that have no use as raw ones.

Rights follow from the role alone (accounts.models.User.has_perm). A second factor is set up and taken away with the
proofs its pages ask for, and audited; addresses of people are in `users`, allauth's own table of them stays empty.
"""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group

for model in (Group, EmailAddress, Authenticator):
    admin.site.unregister(model)
