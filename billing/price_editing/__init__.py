"""Editing the operator's own prices: dollars in, ratios of the options out, and what a change would do beforehand.

The options ModelRatio, CompletionRatio, CacheRatio … stay the store; a `Proposal` names the entries to write in them.
Dollars are for 1M tokens, by QuotaPerUnit, as money is shown everywhere; a ratio is cut to DECIMALS decimals.
"""

from __future__ import annotations

from billing.price_editing.exchange import export, read, read_import, written
from billing.price_editing.proposals import BadPrice, cut, edit, entries, forget, multiply, touched
from billing.price_editing.saving import PricesChanged, Save, apply, history, undo
from billing.price_editing.table import (
    COLUMNS,
    OPTION_OF,
    Book,
    Line,
    Proposal,
    Row,
    book,
    is_own,
    lines,
    shown,
    shown_book,
)

__all__ = [
    "COLUMNS",
    "OPTION_OF",
    "BadPrice",
    "Book",
    "Line",
    "PricesChanged",
    "Proposal",
    "Row",
    "Save",
    "apply",
    "book",
    "cut",
    "edit",
    "entries",
    "export",
    "forget",
    "history",
    "is_own",
    "lines",
    "multiply",
    "read",
    "read_import",
    "shown",
    "shown_book",
    "touched",
    "undo",
    "written",
]
