"""/prices: what models cost, shown in dollars, changed through a preview (console reference 6.1, 10 items 7 and 8)."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from audit.models import AuditEntry
from audit.services import SYSTEM
from channels_app.services import create_channels
from options.services import load, set_options
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def hidden(answer: Any) -> dict[str, str]:
    """What the preview's form carries."""
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text_of(answer))
    return {name: unescape(value) for name, value in fields if name in ("proposal", "digest", "note", "next")}


def commit(client: Client, preview: Any) -> Any:
    return client.post("/prices/commit", hidden(preview))


def channel(models: str, mapping: str = "") -> None:
    create_channels(SYSTEM, {"type": 1, "name": "c", "models": models, "model_mapping": mapping}, ["sk-x"])


def rows(client: Client, query: str = "") -> dict[str, Any]:
    return {row.model: row for row in client.get(f"/prices?size=100{query}").context["list"].rows}


def test_a_price_stands_in_dollars_with_ratio_source_and_channels(at_root: Client) -> None:
    channel("gpt-4o")
    set_options(SYSTEM, {"ModelRatio": '{"my-model": 1.25}'})

    found = rows(at_root, "&q=gpt-4o")["gpt-4o"]
    own = rows(at_root, "&show=own")["my-model"]

    assert (found.figures[0].shown, found.ratio_text, found.row.source, found.used) == ("$5.00", "2.5", "built-in", 1)
    assert (own.figures[0].shown, own.row.source, own.used) == ("$2.50", "operator", 0)


def test_models_that_are_served_unpriced_are_found_by_the_name_they_are_billed_under(at_root: Client) -> None:
    channel("gpt-4o,nobody-priced-this,alias", '{"alias": "upstream-name"}')

    assert set(rows(at_root, "&show=unpriced")) == {"nobody-priced-this", "upstream-name"}
    assert "Served, but unpriced (2)" in text_of(at_root.get("/prices"))


def test_an_edit_is_shown_before_it_is_made(at_root: Client) -> None:
    """gpt-4o: $5 → $5.50; what was left as it was keeps its dollars."""
    form = at_root.get("/prices/edit?model=gpt-4o").context["form"]
    data = {name: form[name].value() or "" for name in form.fields} | {"prompt": "5.5", "known": "yes"}

    preview = at_root.post("/prices/edit", data)

    assert re.search(r"\$5\.00</td>\s*<td[^>]*><strong>\$5\.50", text_of(preview))
    assert load()["ModelRatio"] == {}
    assert commit(at_root, preview).status_code == 302
    assert load()["ModelRatio"] == {"gpt-4o": Decimal("2.75")}
    after = rows(at_root, "&q=gpt-4o")["gpt-4o"]
    assert [figure.exact for figure in after.figures[:2]] == ["5.5", form["completion"].value()]
    entry = AuditEntry.objects.get(action="option.update")
    assert entry.detail["after"]["ModelRatio"] == '{"gpt-4o":2.75}'


def test_the_preview_comes_into_the_drawer(at_root: Client) -> None:
    data = {"model": "new", "prompt": "1", "completion": "2"}

    answer = at_root.post("/prices/edit", data, headers={**HTMX, "HX-Target": "drawer-body"})

    assert (answer.status_code, "<html" in text_of(answer)) == (200, False)
    assert "Change prices" in text_of(answer)


@pytest.mark.parametrize(
    ("prompt", "completion", "says"),
    [
        ("", "", "This field is required."),
        ("-1", "", "Ensure this value is greater than or equal to 0."),
        ("x", "", "Enter a number."),
        ("0", "1", "Where the prompt is free, nothing else can have a price."),
    ],
)
def test_what_is_no_price_is_refused_at_its_field(at_root: Client, prompt: str, completion: str, says: str) -> None:
    answer = at_root.post("/prices/edit", {"model": "m", "prompt": prompt, "completion": completion})

    assert (answer.status_code, says in text_of(answer)) == (422, True)


def test_models_that_follow_are_told(at_root: Client) -> None:
    channel("gpt-4o-2031-01-31")
    form = at_root.get("/prices/edit?model=gpt-4o").context["form"]
    data = {name: form[name].value() or "" for name in form.fields} | {"prompt": "6", "known": "yes"}

    preview = at_root.post("/prices/edit", data)

    assert list(preview.context["following"]) == ["gpt-4o-2031-01-31"]


def test_prices_changed_meanwhile_are_not_overwritten(at_root: Client) -> None:
    preview = at_root.post("/prices/edit", {"model": "m", "prompt": "1"})
    set_options(SYSTEM, {"ModelRatio": '{"m": 9}'})

    again = commit(at_root, preview)

    assert again.status_code == 409
    assert "$18.00" in text_of(again)
    assert load()["ModelRatio"] == {"m": Decimal(9)}
    commit(at_root, again)
    assert load()["ModelRatio"] == {"m": Decimal("0.5")}


def test_prices_are_multiplied_in_bulk(at_root: Client) -> None:
    set_options(SYSTEM, {"ModelRatio": '{"a": 1, "b": 0.035714285714}'})

    commit(at_root, at_root.post("/prices/bulk", {"models": ["a", "b"], "factor": "1.1", "action": "multiply"}))

    assert load()["ModelRatio"] == {"a": Decimal("1.1"), "b": Decimal("0.039285714285")}


@pytest.mark.parametrize("factor", ["", "0", "-2", "x", "1e9"])
def test_a_factor_that_makes_no_sense_changes_nothing(at_root: Client, factor: str) -> None:
    answer = at_root.post("/prices/bulk", {"models": ["gpt-4o"], "factor": factor, "action": "multiply"}, follow=True)

    assert "The factor must be above 0 and at most 1000." in text_of(answer)
    assert load()["ModelRatio"] == {}


def test_a_price_of_ours_is_taken_out(at_root: Client) -> None:
    set_options(SYSTEM, {"ModelRatio": '{"gpt-4o": 9, "b": 1}', "CacheRatio": '{"gpt-4o": 0.2}'})

    commit(at_root, at_root.post("/prices/edit", {"model": "gpt-4o", "known": "yes", "forget": "yes"}))

    assert (load()["ModelRatio"], load()["CacheRatio"]) == ({"b": Decimal(1)}, {})


def test_what_is_exported_is_imported_elsewhere(at_root: Client) -> None:
    set_options(SYSTEM, {"ModelRatio": '{"a": 0.035714285714}', "CacheRatio": '{"a": 0.1}'})
    file = at_root.get("/prices/export")
    assert file["Content-Disposition"] == 'attachment; filename="one-api-prices.json"'
    set_options(SYSTEM, {"ModelRatio": '{"b": 2}', "CacheRatio": None})

    commit(at_root, at_root.post("/prices/import", {"text": text_of(file), "replace": "on"}))

    assert load()["ModelRatio"] == {"a": Decimal("0.035714285714")}
    assert load()["CacheRatio"] == {"a": Decimal("0.1")}


def test_an_import_that_makes_no_sense_is_refused(at_root: Client) -> None:
    """D39."""
    upload = SimpleUploadedFile("prices.json", b'{"ModelRatio": {"a": -1}}')

    answer = at_root.post("/prices/import", {"file": upload})

    assert (answer.status_code, "must be between 0 and 1000000" in text_of(answer)) == (422, True)


def source() -> SimpleUploadedFile:
    sheet = {
        "unit": "USD per 1M tokens",
        "models": {"gpt-4o": {"prompt": 2.5, "completion": 10, "cached": 1.25}, "other": {"prompt": 1}},
    }
    return SimpleUploadedFile("sheet.json", json.dumps(sheet).encode())


def test_a_source_is_compared_and_taken_row_by_row(at_root: Client) -> None:
    channel("gpt-4o")

    compared = at_root.post("/prices/compare", {"file": source()})

    assert [row["model"] for row in compared.context["rows"]] == ["gpt-4o"]
    assert load()["ModelRatio"] == {}
    preview = at_root.post("/prices/accept", {"rows": [compared.context["rows"][0]["value"]]})
    commit(at_root, preview)
    assert load()["ModelRatio"] == {"gpt-4o": Decimal("1.25")}
    after = rows(at_root, "&q=gpt-4o")["gpt-4o"]
    assert [figure.exact for figure in after.figures[:3]] == ["2.5", "10", "1.25"]


def test_a_source_may_be_compared_with_everything(at_root: Client) -> None:
    compared = at_root.post("/prices/compare", {"file": source(), "everything": "on"})

    assert {row["model"] for row in compared.context["rows"]} == {"gpt-4o", "other"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"address": "http://prices.example/x"}, "The address must begin with https://."),
        ({"address": ""}, "Enter an address, or choose a file."),
        ({"file": SimpleUploadedFile("x", b"no json")}, "These prices cannot be used"),
    ],
)
def test_a_source_that_cannot_be_read_says_why(at_root: Client, data: dict[str, Any], says: str) -> None:
    answer = at_root.post("/prices/compare", data)

    assert (answer.status_code, says in text_of(answer)) == (422, True)


@pytest.mark.parametrize(
    "row", ["x", "{}", '{"model": "a", "ratios": {"prompt": "-1"}}', '{"model": "a", "ratios": 1}']
)
def test_a_row_made_up_by_somebody_is_refused(at_root: Client, row: str) -> None:
    answer = at_root.post("/prices/accept", {"rows": [row]}, follow=True)

    assert "Nothing was changed" in text_of(answer)


def test_a_save_is_rolled_back_with_all_that_came_after(at_root: Client) -> None:
    set_options(SYSTEM, {"ModelRatio": '{"a": 1}'})
    commit(at_root, at_root.post("/prices/bulk", {"models": ["a"], "factor": "2", "action": "multiply"}))
    set_options(SYSTEM, {"ModelRatio": '{"a": 7, "b": 3}'})
    saves = at_root.get("/prices/history").context["saves"]
    assert [save.note for save in saves] == ["", "times 2", ""]

    commit(at_root, at_root.post("/prices/undo", {"save": saves[1].save_id}))

    assert load()["ModelRatio"] == {"a": Decimal(1)}


def test_another_unit_is_told(at_root: Client) -> None:
    set_options(SYSTEM, {"QuotaPerUnit": "1000000"})

    assert rows(at_root, "&q=gpt-4o")["gpt-4o"].figures[0].shown == "$2.50"
    assert "1000000 points are one dollar here" in text_of(at_root.get("/prices"))


def test_the_number_of_queries_is_the_same_for_many_rows(at_root: Client, django_assert_num_queries) -> None:
    channel("gpt-4o")
    at_root.get("/prices?size=10")
    with CaptureQueriesContext(connection) as few:
        at_root.get("/prices?size=10")
    for number in range(60):
        channel(f"model-{number}", '{"a": "b"}')

    with django_assert_num_queries(len(few)):
        at_root.get("/prices?size=100")


@pytest.mark.parametrize("sort", ["prompt", "-completion", "cached", "used", "-ratio", "source", "audio_prompt"])
def test_every_column_sorts(at_root: Client, sort: str) -> None:
    assert at_root.get(f"/prices?sort={sort}").status_code == 200


def test_htmx_gets_the_table_alone(at_root: Client) -> None:
    answer = at_root.get("/prices?q=gpt", headers={**HTMX, "HX-Target": "list"})

    assert "<html" not in text_of(answer)
    assert "gpt-4o" in text_of(answer)


def test_nobody_below_root_sees_prices_here(adam: User) -> None:
    assert signed_in(adam).get("/prices").status_code == 403
