"""Addresses of iFlytek's WebSocket services, signed for a few minutes.

https://www.xfyun.cn/doc/spark/general_url_authentication.html; relay contract of providers, 4.4.
"""

from __future__ import annotations

import base64
import hmac
from email.utils import formatdate
from urllib.parse import urlencode, urlsplit


def signed_url(url: str, api_key: str, api_secret: str, now: float) -> str:
    """`url`: ws:// or wss://, without a query. `now`: Unix seconds, at most 300 away from the service's clock."""
    parts = urlsplit(url)
    date = formatdate(now, usegmt=True)
    text = f"host: {parts.netloc}\ndate: {date}\nGET {parts.path} HTTP/1.1"
    signature = base64.b64encode(hmac.digest(api_secret.encode(), text.encode(), "sha256")).decode()
    authorization = (
        f'api_key="{api_key}", algorithm="hmac-sha256", headers="host date request-line", signature="{signature}"'
    )
    encoded = base64.b64encode(authorization.encode()).decode()
    return f"{url}?" + urlencode({"authorization": encoded, "date": date, "host": parts.netloc}, safe="=")
