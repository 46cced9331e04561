"""Tencent Cloud's request signature, TC3-HMAC-SHA256.

https://cloud.tencent.com/document/api/1729/101842; relay contract of providers, 4.1.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import urlsplit

ALGORITHM = "TC3-HMAC-SHA256"
SERVICE = "hunyuan"
CONTENT_TYPE = "application/json"  # sent exactly as it is signed
DEFAULT_PORTS = {"http": 80, "https": 443}


def host_of(url: str) -> str:
    """The Host header a request to this address carries."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    return host if port is None or port == DEFAULT_PORTS.get(parts.scheme) else f"{host}:{port}"


def authorization(secret_id: str, secret_key: str, host: str, action: str, body: bytes, timestamp: int) -> str:
    """The header's value for a POST to "/". `timestamp`: Unix seconds, the same as in X-TC-Timestamp."""
    signed = "content-type;host;x-tc-action"
    headers = f"content-type:{CONTENT_TYPE}\nhost:{host}\nx-tc-action:{action.lower()}\n"
    request = "\n".join(("POST", "/", "", headers, signed, hashlib.sha256(body).hexdigest()))
    date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    scope = f"{date}/{SERVICE}/tc3_request"
    text = "\n".join((ALGORITHM, str(timestamp), scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"TC3{secret_key}".encode()
    for step in (date, SERVICE, "tc3_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
