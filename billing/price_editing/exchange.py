"""Tables and proposals as text: what is exported, imported, and carried by a form between preview and save."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

from django.utils.translation import gettext as _

from billing.price_editing.table import OPTION_OF, Book, Proposal
from billing.pricing import readable
from options.registry import BadOption, parse_ratios, ratios_text


def read_import(current: Book, text: str, *, replace: bool) -> Proposal:
    """`{"ModelRatio": {…}, "CompletionRatio": {…}}`, or one bare table of model ratios. With `replace`, own entries
    that the file does not name go. Raises BadOption."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadOption(_("not valid JSON: %s") % error) from None
    if not isinstance(document, dict):
        raise BadOption(_("must be a JSON object of name and number"))
    if any(isinstance(value, dict) for value in document.values()):
        tables = {option: _inner(text, option) for option in document}
    else:
        tables = {"ModelRatio": parse_ratios(text)}
    proposal: Proposal = {}
    for option, table in tables.items():
        own = current.own[option]
        found: dict[str, Decimal | None] = {name: ratio for name, ratio in table.items() if own.get(name) != ratio}
        if replace:
            found |= {name: None for name in own if name not in table}
        if found:
            proposal[option] = found
    return proposal


def _inner(text: str, option: str) -> Mapping[str, Decimal]:
    if option not in OPTION_OF.values():
        raise BadOption(_("%s is no table of prices.") % option)
    document = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    value = document[option]
    if not isinstance(value, dict):
        raise BadOption(f"{option}: " + _("must be a JSON object of name and number"))
    if not all(isinstance(ratio, Decimal) for ratio in value.values()):
        bad = next(name for name, ratio in value.items() if not isinstance(ratio, Decimal))
        raise BadOption(f"{option}: " + _("the ratio of %r is not a number") % bad)
    try:
        return parse_ratios(ratios_text(value))
    except (BadOption, ValueError) as error:
        raise BadOption(f"{option}: {error}") from None


def export(current: Book) -> str:
    """The operator's own tables, in the form that `read_import` reads."""
    rows = [f'  "{option}": {ratios_text(dict(current.own[option]))}' for option in OPTION_OF.values()]
    return "{\n" + ",\n".join(rows) + "\n}\n"


def written(proposal: Proposal) -> str:
    """As text, to be carried by a form."""
    rows = {
        option: {name: None if ratio is None else f"{ratio:f}" for name, ratio in table.items()}
        for option, table in proposal.items()
    }
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def read(text: str) -> Proposal:
    """What `written` wrote. Raises BadOption: it came back through a browser."""
    try:
        document = json.loads(text)
        json.dumps(document, ensure_ascii=False).encode()  # half a letter, which JSON can name, stands on no page
        proposal: Proposal = {}
        for option, table in document.items():
            if option not in OPTION_OF.values():
                raise BadOption(_("%s is no table of prices.") % option)
            proposal[option] = {
                str(name): None if ratio is None else readable(Decimal(ratio)) for name, ratio in table.items()
            }
    except (ArithmeticError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise BadOption(_("not valid JSON: %s") % type(error).__name__) from None
    return proposal
