"""docs/billing-explained.md, in both languages: each example costs what the page says it costs."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from billing.pricing import (
    PartRatios,
    Price,
    Usage,
    image_charge,
    speech_charge,
    text_charge,
    text_cost,
    transcription_charge,
)
from tests.documents.pages import table_after, text

PAGES = ("billing-explained.md", "billing-explained.zh.md")


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


@pytest.mark.parametrize("page", PAGES)
def test_texts_cost_what_the_page_says(page):
    examples = table_after(page, "examples: text")
    assert len(examples) == 6
    for model, completion, group, prompt, answer, _, points in examples:
        price = Price(Decimal(model), Decimal(completion), Decimal(group))
        assert text_charge(price, Usage(number(prompt), number(answer))) == number(points), model


@pytest.mark.parametrize("page", PAGES)
def test_parts_cost_what_the_page_says(page):
    examples = table_after(page, "examples: parts")
    assert len(examples) == 3
    for model, completion, part, ratio, prompt, answer, of_that, _, points in examples:
        parts = PartRatios(**{part: Decimal(ratio)})
        price = Price(Decimal(model), Decimal(completion), Decimal(1), parts=parts)
        usage = Usage(number(prompt), number(answer))
        setattr(usage, f"{part}_tokens", number(of_that))
        assert text_charge(price, usage) == number(points), part


@pytest.mark.parametrize("page", PAGES)
def test_without_a_cache_the_first_of_the_parts_costs_16500(page):
    price = Price(Decimal("1.5"), Decimal(5), Decimal(1))
    assert text_charge(price, Usage(10_000, 200)) == 16_500
    assert "16,500" in text(page)
    assert f"{16_500 - 4_350:,}" in text(page)


@pytest.mark.parametrize("page", PAGES)
def test_pictures_speech_and_transcripts_cost_what_the_page_says(page):
    told = {
        name: number(points)
        for name, points in re.findall(
            r"^\| .*?`(dall-e-3|tts-1|whisper-1)`.*\| ([\d,]+) \|$", text(page), re.MULTILINE
        )
    }
    of_ratio = {ratio: Price(Decimal(ratio), Decimal(1), Decimal(1)) for ratio in ("20", "7.5", "15")}

    assert told == {"dall-e-3": 20_000, "tts-1": 9_000, "whisper-1": 6_750}
    assert image_charge(of_ratio["20"], "dall-e-3", "1024x1024", "standard", 1) == 20_000
    assert image_charge(of_ratio["20"], "dall-e-3", "1024x1024", "hd", 3) == 120_000
    assert "| 120,000 |" in text(page)
    assert speech_charge(of_ratio["7.5"], "x" * 1_200) == 9_000
    assert transcription_charge(of_ratio["15"], 450) == 6_750


@pytest.mark.parametrize("page", PAGES)
def test_the_story_of_the_hold_adds_up(page):
    price = Price(Decimal("1.25"), Decimal(4), Decimal(1))
    assert text_cost(price, 800, 1_000) == 6_000
    assert text_charge(price, Usage(800, 300)) == 2_500

    section = text(page).split("\n## ")[5]
    steps = [[number(cell) for cell in re.findall(r"\| ([\d,]+)(?= \|)", line)] for line in section.splitlines()]
    balances = [step for step in steps if len(step) == 3]
    assert balances == [
        [10_000, 0, 10_000], [10_000, 6_000, 4_000], [10_000, 6_000, 4_000], [7_500, 0, 7_500], [7_500, 6_000, 1_500],
    ]  # fmt: skip
