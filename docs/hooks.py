"""What MkDocs does beside its plugins: a page that has no Chinese text says so in the Chinese site."""

from typing import Any

NOTICE = '!!! note "本页暂无中文版"\n    这一页面向开发者或细节较多，以下为英文原文。\n\n'


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    file = page.file
    fell_back = file.locale_alternate_of == "zh" and file.localization != "zh"
    return NOTICE + markdown if fell_back else markdown
