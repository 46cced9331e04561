"""An authenticator app and a security key, in Python: what a person would hold in the hand."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode


def code(secret: str, steps: int = 0) -> str:
    """What the app shows now, or some steps of 30 seconds later."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps)))


@dataclass
class SecurityKey:
    """Holds one passkey. `flags`: user present 1, user verified 4, attested data 64 (WebAuthn, 6.1)."""

    origin: str = "http://testserver"
    verifies: bool = True
    private: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    user: bytes = b""

    def create(self, options: dict[str, Any]) -> str:
        self.user = websafe_decode(options["user"]["id"])
        public = cbor.encode(ES256.from_cryptography_key(self.private.public_key()))
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + public
        data = self._data(options["rp"]["id"], 64) + attested
        return self._answer(
            {
                "clientDataJSON": websafe_encode(self._client("webauthn.create", options)),
                "attestationObject": websafe_encode(cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})),
            }
        )

    def get(self, options: dict[str, Any]) -> str:
        client, data = self._client("webauthn.get", options), self._data(options["rpId"], 0)
        signature = self.private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": websafe_encode(client),
                "authenticatorData": websafe_encode(data),
                "signature": websafe_encode(signature),
                "userHandle": websafe_encode(self.user),
            }
        )

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": self.origin}).encode()

    def _data(self, host: str, more: int) -> bytes:
        flags = 1 | (4 if self.verifies else 0) | more
        return hashlib.sha256(host.encode()).digest() + bytes([flags]) + bytes(4)

    def _answer(self, response: dict[str, str]) -> str:
        name = websafe_encode(self.id)
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "clientExtensionResults": {}, "response": response}
        )
