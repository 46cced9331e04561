"""Run inside a checkout, on its settings: a user with a limited token, and a channel to each upstream.

`python seed.py UPSTREAM STREAM_UPSTREAM` prints {"user", "token", "key", "stream_key"} as JSON. Streams have a group,
and so a channel and a user, of their own.
"""

from __future__ import annotations

import json
import os
import sys

import django

QUOTA = 400_000_000_000_000  # points; far more than a bench spends, so that no call is refused


def main(upstream: str, stream_upstream: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    from accounts.services import create_user
    from accounts.tokens import create_token
    from audit.services import SYSTEM
    from billing.models import EntryKind
    from billing.services import credit
    from channels_app.services import create_channels
    from options import versions

    keys = {}
    for group, address in (("default", upstream), ("vip", stream_upstream)):
        user = create_user(username=f"bench-{group}", password=None, group=group)
        credit(user.pk, QUOTA, kind=EntryKind.OPENING)
        keys[group] = create_token(user_id=user.pk, name="bench", remain_quota=QUOTA).key
        fields = {"type": 1, "name": group, "base_url": address, "models": "gpt-4", "group": group}
        create_channels(SYSTEM, fields, ["sk-upstream"])
    versions.bump(versions.IDENTITIES)
    print(json.dumps({"key": keys["default"], "stream_key": keys["vip"]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
