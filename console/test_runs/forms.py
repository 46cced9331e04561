"""What is asked before channels are tested, and about the results."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from channels_app.models import Outcome
from channels_app.testing import AT_ONCE, MOST_AT_ONCE, Scope
from console.fields import SearchInput

OUTCOMES = [
    ("", gettext_lazy("Any")),
    (str(Outcome.PASSED.value), gettext_lazy("passed")),
    (str(Outcome.SLOW.value), gettext_lazy("passed, too slow")),
    (str(Outcome.FAILED.value), gettext_lazy("failed")),
]


class BeginForm(forms.Form):
    """`matching`: how many channels the list's filters find, where it has any.

    With a POLLING_INTERVAL channels are tested one after the other, so nobody is asked how many at a time.
    """

    scope = forms.ChoiceField(label=gettext_lazy("Which channels"))
    model = forms.CharField(
        label=gettext_lazy("Model"),
        required=False,
        max_length=191,
        help_text=gettext_lazy(
            "Empty: each channel's own. A name: only the channels that list it are tested, with it."
        ),
    )
    at_once = forms.IntegerField(
        label=gettext_lazy("Channels tested at a time"),
        required=False,
        min_value=1,
        max_value=MOST_AT_ONCE,
        initial=AT_ONCE,
        help_text=gettext_lazy("1 to 20, else 10. Fewer where a provider limits how many calls it takes at a time."),
    )
    query = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, matching: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(Scope.ALL.value, _("All channels")), (Scope.DISABLED.value, _("Those that are disabled"))]
        if matching is not None:
            text = ngettext("%d channel that the filters find", "%d channels that the filters find", matching)
            choices.insert(0, (Scope.FILTER.value, text % matching))
        self.fields["scope"].choices = choices  # type: ignore[attr-defined]
        if settings.POLLING_INTERVAL:
            del self.fields["at_once"]


class ResultFilter(forms.Form):
    q = forms.CharField(
        label=gettext_lazy("Search channel, model or error"), required=False, max_length=128, widget=SearchInput
    )
    outcome = forms.ChoiceField(label=gettext_lazy("Outcome"), choices=OUTCOMES, required=False)
