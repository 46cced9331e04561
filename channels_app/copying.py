"""A second channel like one that is there."""

from __future__ import annotations

import json
import time

from django.db import transaction
from django.utils.translation import gettext as _

from audit.services import Actor, record
from channels_app import key_digests
from channels_app.models import Channel, ChannelStatus
from channels_app.providers import SECRET_MEMBERS
from channels_app.services import locked, rebuild_abilities, stored_secret
from channels_app.validation import MAX_NAME, config_text
from options import versions

COPIED = (
    *("type", "weight", "base_url", "other", "model_names", "group", "model_mapping", "priority", "system_prompt"),
    *("refuses_stream_options", "tags", "test_model", "test_every", "auto_disable", "notes"),
)


@transaction.atomic
def copy_channel(actor: Actor, channel_id: int, *, with_key: bool) -> int:
    """The new channel's id. Its counters, tests and balance begin anew, its name says that it is a copy.

    Without the key (and the secret members of config) the copy is disabled until somebody gives it one; with it, it is
    enabled where the original is. Raises ChannelMissing; ChannelInvalid where a secret can no longer be decrypted.
    """
    original = locked(channel_id)
    config = _members(stored_secret(original, "config"))
    key = stored_secret(original, "key") if with_key else ""
    if not with_key:
        config = {name: text for name, text in config.items() if name not in SECRET_MEMBERS}
    suffix = _(" (copy)")
    copy = Channel.objects.create(
        **{name: getattr(original, name) for name in COPIED},
        name=original.name[: MAX_NAME - len(suffix)] + suffix,
        key=key,
        key_digest=key_digests.of(key),
        config=config_text(config),
        status=original.status if with_key else ChannelStatus.DISABLED,
        created_time=int(time.time()),
    )
    rebuild_abilities(copy)
    record(actor, "channel.copy", f"channel:{copy.pk}", original=channel_id, with_key=with_key)
    versions.bump(versions.ROUTING)
    return copy.pk


def _members(text: str) -> dict[str, str]:
    """What no call could use is not copied."""
    try:
        config = json.loads(text or "{}")
    except json.JSONDecodeError:
        return {}
    return {name: value for name, value in config.items() if isinstance(value, str)} if isinstance(config, dict) else {}
