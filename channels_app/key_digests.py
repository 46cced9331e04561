"""Finding the channels that hold a key, without opening any: by a keyed digest beside each sealed key.

Whoever saves a key through `channels_app.services` saves its digest. Rows from before the column, and imported ones,
get theirs from an hourly job. A key sealed under a lost secret has none, and is not found.
"""

from __future__ import annotations

from django.db.models import ExpressionWrapper, F, TextField

from channels_app.models import Channel
from jobs.running import Context
from vault.keys import CannotDecrypt, decrypt, digest, digests

PURPOSE = "channel key"
BATCH = 200  # keys opened between two looks at whether to stop


def of(key: str) -> str:
    """ "" for no key: channels without one are not alike."""
    return digest(PURPOSE, key) if key else ""


def find(key: str) -> list[int]:
    """Ids of the channels with exactly this key, blanks around it aside; of none where it is empty."""
    if not (wanted := key.strip()):
        return []
    return list(
        Channel.objects.filter(key_digest__in=digests(PURPOSE, wanted)).order_by("id").values_list("pk", flat=True)
    )


def fill(context: Context | None = None) -> int:
    """Make the digests that are missing; returns how many were made. A key that changes meanwhile is left alone."""
    sealed = Channel.objects.filter(key_digest="").annotate(
        sealed_key=ExpressionWrapper(F("key"), output_field=TextField())
    )
    rows = list(sealed.exclude(sealed_key="").order_by("id").values_list("pk", "sealed_key"))
    made = 0
    for place, (channel_id, stored) in enumerate(rows):
        if context is not None and place % BATCH == 0 and context.stopping:
            break
        try:
            key = decrypt(stored)
        except CannotDecrypt:
            continue
        made += sealed.filter(pk=channel_id, sealed_key=stored).update(key_digest=of(key))
    return made


def scheduled(context: Context) -> None:
    """The hourly run (jobs.table)."""
    context.report({"made": fill(context)})
