"""Links that open a client program with a key and this gateway's address filled in (console reference, 4.2).

The JSON in an address is percent-encoded whole: it stands in a URL, and the clients decode it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

NEXT_CHAT = "https://app.nextchat.dev"
LOBE_CHAT = "https://lobechat.com/chat"


@dataclass(frozen=True)
class ClientLink:
    name: str
    address: str


def client_links(key: str, server: str, chat_link: str = "") -> list[ClientLink]:
    """`key` without `sk-`; `server` without a slash at its end; `chat_link` is the operator's own NextChat."""
    full = f"sk-{key}"
    encoded = quote(server, safe="")
    next_settings = _encoded({"key": full, "url": server})
    lobe_settings = _encoded({"keyVaults": {"openai": {"apiKey": full, "baseURL": f"{server}/v1"}}})
    return [
        ClientLink("NextChat", f"{(chat_link or NEXT_CHAT).rstrip('/')}/#/?settings={next_settings}"),
        ClientLink("AMA (BotGem)", f"ama://set-api-key?server={encoded}&key={full}"),
        ClientLink("OpenCat", f"opencat://team/join?domain={encoded}&token={full}"),
        ClientLink("LobeChat", f"{LOBE_CHAT}?settings={lobe_settings}"),
    ]


def _encoded(value: object) -> str:
    return quote(json.dumps(value, separators=(",", ":")), safe="")
