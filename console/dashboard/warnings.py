"""What root should put right: each says what, why, and where."""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from channels_app.models import Channel
from jobs.models import Lease
from options.registry import Options

SILENT = 15 * 60  # seconds without any job having run


@dataclass(frozen=True)
class Warned:
    text: str
    address: str
    verb: str


def warnings(options: Options) -> list[Warned]:
    found = []
    if not options["ServerAddress"]:
        found.append(
            Warned(
                _("The server's address is not set. Links in mails and addresses for other sign-ins need it."),
                reverse("options-system"),
                _("Set the address"),
            )
        )
    if not Channel.objects.exists():
        found.append(
            Warned(
                _("There is no channel yet, so no call can be answered."), reverse("channel-add"), _("Add a channel")
            )
        )
    last = max(Lease.objects.values_list("last_run_started", flat=True), default=0)
    if last and last < time.time() - SILENT:
        found.append(
            Warned(
                _("No periodic work has run for a quarter of an hour. Is the main node up?"),
                reverse("runtime"),
                _("See what runs"),
            )
        )
    if options.rejected:
        found.append(
            Warned(
                _("Stored options that cannot be used count as unset: %(names)s.")
                % {"names": ", ".join(options.rejected)},
                reverse("options"),
                _("Open the settings"),
            )
        )
    return found
