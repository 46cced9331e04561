"""What a browser sends of a form that stands on a page: every field as it was drawn, hidden ones too."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from django.test import Client

Fields = dict[str, list[str]]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: dict[str, Fields] = {}  # by action
        self.form: Fields = {}
        self.select = self.area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        name, kind = told.get("name", ""), told.get("type", "text")
        if tag == "form":
            self.form = self.forms.setdefault(told.get("action", ""), {})
        elif tag == "input" and name and kind not in ("submit", "file"):
            ticked = "on" if kind in ("checkbox", "radio") else ""
            if not ticked or "checked" in told:
                self.form.setdefault(name, []).append(told.get("value", ticked))
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and "selected" in told:
            self.form.setdefault(self.select, []).append(told.get("value", ""))
        elif tag == "textarea":
            self.area = name
            self.form.setdefault(name, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.form = {}
        elif tag == "select":
            self.select = ""
        elif tag == "textarea":
            self.area = ""

    def handle_data(self, data: str) -> None:
        if self.area:
            first = not self.form[self.area][-1]  # a line end at the beginning of an area is none of its text
            self.form[self.area][-1] += data.removeprefix("\n") if first else data


def fields_of(html: str, action: str) -> Fields:
    reader = _Forms()
    reader.feed(html)
    return {
        name: [value.replace("\r\n", "\n").replace("\n", "\r\n") for value in values]  # as browsers end lines
        for name, values in reader.forms[action].items()
    }


def drawn(client: Client, page: str, action: str | None = None, **headers: Any) -> Fields:
    """The fields of the form on `page` that is sent to `action`, else to the page itself."""
    return fields_of(client.get(page, headers=headers).content.decode(), page if action is None else action)
