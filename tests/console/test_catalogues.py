"""Every text of ours has its words in every language the console offers."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import pytest
from django.conf import settings

LOCALE = Path(settings.LOCALE_PATHS[0])
ENTRY = re.compile(r'^msgid ((?:"(?:[^"\\]|\\.)*"\s*)+)', re.MULTILINE)


def message_ids(source: Path) -> list[str]:
    """The message ids of a .po file; `unicode_escape` would garble what is not ASCII."""
    texts = []
    for entry in ENTRY.findall(source.read_text()):
        parts = re.findall(r'"((?:[^"\\]|\\.)*)"', entry)
        texts.append("".join(parts).replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\"))
    return [text for text in texts if text]


@pytest.mark.parametrize("folder", sorted(LOCALE.glob("*/LC_MESSAGES")), ids=lambda folder: folder.parent.name)
def test_the_catalogue_is_complete_and_compiled(folder: Path) -> None:
    source = folder / "django.po"
    with (folder / "django.mo").open("rb") as compiled:
        catalogue = gettext.GNUTranslations(compiled)

    untranslated = [text for text in message_ids(source) if catalogue.gettext(text) == text]

    assert len(message_ids(source)) > 200
    assert [text for text in untranslated if catalogue.ngettext(text, text, 2) == text] == []
    assert "#, fuzzy" not in source.read_text()
