"""What MkDocs does beside its plugins: pages without a Chinese text say so, and Chinese can be searched for."""

import json
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

NOTICE = '!!! note "本页暂无中文版"\n    这一页面向开发者或细节较多，以下为英文原文。\n\n'


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    file = page.file
    fell_back = file.locale_alternate_of == "zh" and file.localization != "zh"
    return NOTICE + markdown if fell_back else markdown


@event_priority(-200)  # after the plugin of languages, which writes the index last
def on_post_build(*, config: Any) -> None:
    """Search by English rules alone: those of lunr for Chinese want a dictionary and drop every word in a browser."""
    index = Path(config.site_dir) / "search" / "search_index.json"
    if index.exists():
        found = json.loads(index.read_text())
        found["config"]["lang"] = ["en"]
        index.write_text(json.dumps(found, ensure_ascii=False))
