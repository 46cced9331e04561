"""Every text of ours has its words in every language the console offers (D5)."""

from __future__ import annotations

import gettext
import re
import shutil
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings
from django.utils.translation import to_locale

from tests import databases
from tests.server import ROOT

LOCALE = Path(settings.LOCALE_PATHS[0])
LANGUAGES = [code for code, _ in settings.LANGUAGES if code != "en"]
PLACEHOLDER = re.compile(r"%\([a-z_]+\)[sd]|%[sdr]|</?[a-z]+[^>]*>")
Text = tuple[str, str]  # context and text


def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(LOCALE / to_locale(language) / "LC_MESSAGES" / "django.po"))


def forms_of(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> set[Text]:
    """Every text in the code and the templates, as gettext finds it now."""
    if shutil.which("xgettext") is None:
        databases.missing("gettext is not installed")
    folder = tmp_path_factory.mktemp("house")
    for room in ROOT.iterdir():  # all but the catalogues, beside which the command would write
        if room.is_dir() and room.name not in ("locale", "tests", "bench", "docs") and not room.name.startswith("."):
            (folder / room.name).symlink_to(room)
    with pytest.MonkeyPatch.context() as patch, override_settings(LOCALE_PATHS=[str(folder / "found")]):
        patch.chdir(folder)
        call_command("makemessages", locale=["en"], symlinks=True, no_location=True, verbosity=0)
    found = polib.pofile(str(folder / "found" / "en" / "LC_MESSAGES" / "django.po"))
    return {(entry.msgctxt or "", entry.msgid) for entry in found}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_in_the_catalogue(language: str, texts: set[Text]) -> None:
    known = {(entry.msgctxt or "", entry.msgid) for entry in catalogue(language)}

    assert len(texts) > 1500
    assert sorted(texts - known) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_entry_is_translated_and_none_is_a_guess(language: str) -> None:
    entries = catalogue(language)

    assert [entry.msgid for entry in entries if not all(forms_of(entry))] == []
    assert [entry.msgid for entry in entries if entry.fuzzy or entry.obsolete] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_filled_in_is_the_same_in_the_translation(language: str) -> None:
    wrong = [
        (entry.msgid, form)
        for entry in catalogue(language)
        for form in forms_of(entry)
        if sorted(PLACEHOLDER.findall(form)) != sorted(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
    ]

    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    with (LOCALE / to_locale(language) / "LC_MESSAGES" / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)

    differing = [
        entry.msgid
        for entry in catalogue(language)
        if not entry.msgid_plural and not entry.msgctxt and compiled.gettext(entry.msgid) != entry.msgstr
    ]

    assert differing == []
