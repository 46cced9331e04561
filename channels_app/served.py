"""How many channels serve a model, by the name it is billed under."""

from __future__ import annotations

import json
from collections import Counter

from django.db.models import Count

from channels_app.models import Ability, Channel


def channels_of_models() -> Counter[str]:
    """Upstream names, enabled channels or not (two queries). A mapped model counts under what it is mapped to."""
    rows = Ability.objects.values_list("model").annotate(channels=Count("channel", distinct=True)).order_by()
    counts = Counter(dict(rows.iterator()))
    mapped = Channel.objects.exclude(model_mapping__in=("", "{}")).values_list("model_names", "model_mapping")
    for names, mapping in mapped.iterator():
        for name, upstream in _names(mapping).items():
            if name in names.split(",") and upstream != name:
                counts[name] -= 1
                counts[upstream] += 1
    return +counts


def channels_of_groups() -> Counter[str]:
    """Channels by the groups they serve, also those without a model (one query)."""
    counts: Counter[str] = Counter()
    for groups in Channel.objects.values_list("group", flat=True).iterator():
        counts.update({name for name in groups.split(",") if name})
    return counts


def _names(mapping: str) -> dict[str, str]:
    """What is no mapping counts as none, as it does for calls."""
    try:
        read = json.loads(mapping)
    except ValueError:
        return {}
    return {name: to for name, to in read.items() if isinstance(to, str) and to} if isinstance(read, dict) else {}
