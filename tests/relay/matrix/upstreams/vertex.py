"""Vertex AI: Gemini and Claude there, behind a service account.

https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai,
https://developers.google.com/identity/protocols/oauth2/service-account (the exchange of a signed claim for a token)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from urllib.parse import parse_qs

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from tests.relay.matrix.scenes import Heard, Json, Refused, Said, need
from tests.relay.matrix.upstreams import anthropic, gemini
from tests.relay.matrix.upstreams.base import (
    Answer,
    Upstream,
    addressed,
    body_of,
    credential,
    document,
    event,
    path_of,
)
from tests.upstream.wire import Request

REGION, PROJECT, ACCOUNT = "europe-west4", "matrix-project", "gateway@matrix-project.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN = "ya29.matrix"


class Vertex(Upstream):
    """With Google's own models. A token is given for a claim that the account's key has signed."""

    name = "Vertex AI (Gemini)"
    channel_type = 42
    key = "in the boxes"
    models = {None: "gemini-2.5-pro"}
    publisher = "google"
    actions: Mapping[str, bool] = {"generateContent": False, "streamGenerateContent?alt=sse": True}

    @cached_property
    def _private_key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def settings(self) -> Mapping[str, str]:
        pem = self._private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": ACCOUNT,
            "token_uri": f"{self.url}/token",
        }
        boxes = {"region": REGION, "vertex_ai_project_id": PROJECT}
        return {**boxes, "vertex_ai_adc": orjson.dumps(file).decode()}

    def respond(self, request: Request) -> Answer:
        return self._exchange(request) if path_of(request) == "/token" else super().respond(request)

    def _exchange(self, request: Request) -> Answer:
        form = parse_qs(request.body.decode())
        public = self._private_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        try:
            claims = jwt.decode(form["assertion"][0], certs=public, audience=f"{self.url}/token")
            need(form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"], "grant_type")
            need((claims["iss"], claims["scope"]) == (ACCOUNT, SCOPE), f"claims: {claims}")
        except (ValueError, Refused) as error:
            self.violations.append(f"token exchange: {error}")
            return Answer(orjson.dumps({"error": "invalid_grant", "error_description": str(error)}), status=400)
        return document({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})

    def hear(self, request: Request) -> Heard:
        credential(request, "authorization", f"Bearer {TOKEN}")
        action = request.target.rpartition(":")[2]
        need(action in self.actions, f"no such action: {action}")
        where = f"/v1/projects/{PROJECT}/locations/{REGION}/publishers/{self.publisher}"
        addressed(request, f"{where}/models/{self.models[None]}:{action}")
        return self.request(body_of(request), self.actions[action])

    def request(self, body: Json, stream: bool) -> Heard:
        return gemini.hear(gemini.in_camels(body), self.models[None], stream, signed=False)

    def whole(self, heard: Heard, said: Said) -> Answer:
        return document(gemini.answer(heard, gemini.parts(said, signed=False), said.figures, "STOP"))

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        return gemini.pieces(heard, said, signed=False)

    def midway(self) -> bytes:
        return gemini.midway()

    def refusal(self, refused: Refused) -> Answer:
        """In a list of one, as its streams are refused."""
        return Answer(orjson.dumps([gemini.error(refused)]))


class VertexClaude(Vertex):
    """With Anthropic's models: their protocol, the model in the address and the version in the body."""

    name = "Vertex AI (Claude)"
    models = {None: "claude-opus-4-7"}
    tells = frozenset({"cached", "written", "reasoning"})
    publisher = "anthropic"
    actions = {"rawPredict": False, "streamRawPredict": True}

    def request(self, body: Json, stream: bool) -> Heard:
        need(body.pop("anthropic_version", None) == "vertex-2023-10-16", "anthropic_version")
        need("model" not in body, "model: extra inputs are not permitted")
        need(bool(body.get("stream")) == stream, "stream")
        need(not anthropic.SAMPLING & set(body), "sampling parameters are not supported by this model")
        return anthropic.hear(body, anthropic.ADAPTIVE)

    def whole(self, heard: Heard, said: Said) -> Answer:
        return document(anthropic.message(heard, said))

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        for each in anthropic.events(heard, said):
            yield event(each, each["type"])

    def midway(self) -> bytes:
        return anthropic.midway()

    def refusal(self, refused: Refused) -> Answer:
        return anthropic.error(refused)
