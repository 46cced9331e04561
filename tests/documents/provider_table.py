"""The table of docs/provider-channels.md, made from the program's: `python -m tests.documents.provider_table`."""

from __future__ import annotations

from channels_app.providers import PROVIDERS, Provider

# In each language: the head of the table, and what stands behind a box that may stay empty.
HEADS = {
    "en": "| type | name | address of an empty box | key | more boxes |",
    "zh": "| 类型 | 名称 | 地址留空时 | 密钥格式 | 其他字段 |",
}
MAY_BE_EMPTY = {"en": " (optional)", "zh": "（可空）"}


def table(language: str = "en") -> str:
    rows = [_row(one, language) for one in sorted(PROVIDERS.values(), key=lambda one: one.id)]
    return "\n".join([HEADS[language], "| --- | --- | --- | --- | --- |", *rows])


def _row(one: Provider, language: str) -> str:
    boxes = ", ".join(f"`{box.name}`" + ("" if box.required else MAY_BE_EMPTY[language]) for box in one.config_fields)
    key = f"<code>{one.key_format.partition(' (')[0].replace('|', '&#124;')}</code>"
    address = f"`{one.base_url}`" if one.base_url else ""
    name = one.label if language == "zh" else one.name
    return f"| {one.id} | {name} | {address} | {key} | {boxes} |"


if __name__ == "__main__":
    for each in HEADS:
        print(table(each), end="\n\n")
