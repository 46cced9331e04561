"""What becomes of a request's body on its way, and which bodies are refused (relay contract, 8.1 to 8.6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests import migrated, server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, SeenRequest
from tests.relay.raw import Got, ask, chat, connected, post, squeezed
from tests.server import ROOT_TOKEN, Account, Gateway

PATH = "/v1/chat/completions"
MODEL = "gpt-3.5-turbo"
MIB = 1024 * 1024
PURSE = 10**12


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    upstream: FakeUpstream
    user: Account

    def send(self, body: Any, path: str = PATH, **headers: str) -> tuple[Got, list[SeenRequest]]:
        """The answer, and what the upstream saw."""
        self.upstream.reset()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        got = ask(self.gateway, self.user, path, body, headers=named)
        return got, self.upstream.seen()


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {"RELAY_MAX_BODY_MB": "1"}) as gateway:
        models = (
            f"{MODEL},gpt-3.5-turbo-instruct,text-embedding-3-small,text-moderation-latest,dall-e-2,whisper-1,tts-1"
        )
        gateway.add_channel(upstream_process.url, models)
        gateway.add_channel(upstream_process.url, "prompted", system_prompt="Be “brief”.")
        gateway.add_channel(upstream_process.url, "mapped", model_mapping='{"mapped":"mapped-to"}')
        gateway.add_channel(upstream_process.url, "mapped-whisper", model_mapping='{"mapped-whisper":"large-v3"}')
        gateway.add_channel(upstream_process.scripted(refuses=True, usage=None), "refuses")
        gateway.add_channel(
            upstream_process.scripted(status=400, message="Unknown parameter: 'stream_options.odd'."), "odd-options"
        )
        gateway.wait_until_routed(ROOT_TOKEN, "odd-options")
        yield House(gateway, upstream_process, gateway.new_user(PURSE))


class TestUntouched:
    @pytest.mark.parametrize(
        "body",
        [
            b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"x"}]}',
            b' \t\r\n{ "messages" : [ {"content":"x" ,"role":"user"} ],\n\n"model":\t"gpt-3.5-turbo" } \r\n',
            b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"\\u00e9\\/\\ud83d\\ude00"}],"temperature":1.0}',
            b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"x","odd":{"a":[1E2,-0,0.10]}}],"n":1}',
            b'{"seed":12345678901234567890123,"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"x"}]}',
            b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"x"}],"vendor":{"x":[null,{}]},"tools":[]}',
            '{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"日本 \\u200b"}]}'.encode(),
        ],
        ids=["plain", "white-space", "escapes", "numbers", "large-number", "unknown-members", "utf-8"],
    )
    def test_byte_for_byte(self, house: House, body: bytes) -> None:
        got, (seen,) = house.send(body)

        assert got.status == 200
        assert seen.body == body
        assert seen.headers["content-length"] == str(len(body))
        assert "transfer-encoding" not in seen.headers

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": ["a", "b"], "odd": 1}),
            ("/v1/embeddings", {"model": "text-embedding-3-small", "input": [1, 2, 3], "encoding_format": "float"}),
            ("/v1/moderations", {"input": "x", "model": "text-moderation-latest"}),
            ("/v1/images/generations", {"prompt": "x", "model": "dall-e-2"}),
            ("/v1/images/generations", {"prompt": "no model, no size, no number"}),
            ("/v1/moderations", {"input": ["x", "y"]}),
            ("/v1/audio/speech", {"model": "tts-1", "input": "x", "voice": "y", "speed": 1.25}),
        ],
    )
    def test_of_every_other_kind(self, house: House, path: str, body: dict[str, Any]) -> None:
        raw = json.dumps(body, indent=1).encode()

        got, (seen,) = house.send(raw, path)

        assert (got.status, seen.body, seen.target) == (200, raw, path)

    def test_the_query_travels_along(self, house: House) -> None:
        _, (seen,) = house.send(chat(MODEL), PATH + "?api-version=1&x=%20a")

        assert seen.target == PATH + "?api-version=1&x=%20a"

    def test_a_chunked_request_gets_a_length(self, house: House) -> None:
        body = json.dumps(chat(MODEL)).encode()
        chunked = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])

        _, (seen,) = house.send(chunked, Transfer_Encoding="chunked")

        assert (seen.body, seen.headers["content-length"]) == (body, str(len(body)))

    def test_a_form_too(self, house: House) -> None:
        body = form(("file", b"\x00\xff\r\n--B", "a.mp3"), ("model", b"whisper-1", None), ("odd", b"1", None))

        _, (seen,) = house.send(body, "/v1/audio/transcriptions", Content_Type="multipart/form-data; boundary=B0und")

        assert seen.body == body
        assert seen.headers["content-type"] == "multipart/form-data; boundary=B0und"


def form(*parts: tuple[str, bytes, str | None]) -> bytes:
    lines = []
    for name, value, filename in parts:
        more = f'; filename="{filename}"' if filename else ""
        lines.append(f'--B0und\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value)
    return b"\r\n".join([*lines, b"--B0und--\r\n"])


class TestHeaders:
    def test_only_what_the_upstream_needs_is_sent(self, house: House) -> None:
        got, (seen,) = house.send(
            chat(MODEL),
            OpenAI_Organization="org-x",
            User_Agent="secret-agent",
            Cookie="a=b",
            X_Forwarded_For="1.2.3.4",
            X_Request_Id="mine",
            Traceparent="00-1-2-3",
            Accept_Encoding="br, zstd",
            Origin="https://app.example",
            Referer="https://app.example/x",
            Accept="application/x-odd",
        )

        assert got.status == 200
        assert set(seen.headers) == {"host", "authorization", "content-type", "accept", "content-length"}
        assert seen.headers["authorization"] == "Bearer sk-upstream"
        assert seen.headers["accept"] == "application/x-odd"

    def test_a_stream_is_asked_for_as_one(self, house: House) -> None:
        _, (seen,) = house.send(chat(MODEL, stream=True))

        assert seen.headers["accept"] == "text/event-stream"

    def test_only_what_the_caller_may_know_comes_back(self, house: House) -> None:
        leaky = {
            "Set-Cookie": "a=b",
            "OpenAI-Organization": "org-ours",
            "X-Ratelimit-Remaining-Requests": "1",
            "X-Request-Id": "theirs",
            "X-Oneapi-Request-Id": "theirs",
            "Access-Control-Allow-Origin": "https://evil.example",
            "Access-Control-Allow-Credentials": "true",
            "Server": "upstream/1",
            "OpenAI-Processing-Ms": "12",
            "Strict-Transport-Security": "max-age=1",
        }
        got, _ = house.send(chat(MODEL, json.dumps({"script": {"headers": leaky}})))
        stream, _ = house.send(chat(MODEL, json.dumps({"script": {"headers": leaky}}), stream=True))

        expected = {"x-oneapi-request-id", "content-type", "content-length", "openai-processing-ms", "date"}
        assert set(got.headers) == expected
        assert set(stream.headers) - {"transfer-encoding", "date"} == {
            "x-oneapi-request-id",
            "content-type",
            "cache-control",
            "x-accel-buffering",
        }
        assert "theirs" not in (got.request_id, stream.request_id)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAoAAAAAIA"},
            {"Expect": "100-continue"},
            {"Connection": "close"},
            {"Accept-Encoding": "br, zstd"},
            {"User-Agent": ""},
            {"Content-Type": "application/json; charset=UTF-8"},
            {"Content-Type": "text/plain"},
        ],
        ids=["h2c", "expect", "close", "encodings", "no-agent", "charset", "text"],
    )
    def test_clients_have_their_oddities(self, house: House, headers: dict[str, str]) -> None:
        got = ask(house.gateway, house.user, PATH, chat(MODEL), headers=headers)

        assert got.status == 200
        assert got.json()["object"] == "chat.completion"

    def test_a_client_that_waits_to_be_told_to_go_on(self, house: House) -> None:
        head, _, body = post(house.gateway, house.user, json.dumps(chat(MODEL)).encode()).partition(b"\r\n\r\n")
        with connected(house.gateway) as socket:
            socket.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
            assert socket.recv(1000).startswith(b"HTTP/1.1 100")
            socket.sendall(body)
            assert socket.recv(1000).startswith(b"HTTP/1.1 200")


class TestRewritten:
    def test_a_system_prompt_is_put_in_front(self, house: House) -> None:
        body = b'{"odd": 1.10 , "model":"prompted","messages":[{"role":"user","content":"x","more":{"a":[]}}],"z": 1e2}'

        got, (seen,) = house.send(body)

        first, second = seen.json()["messages"]
        assert first == {"role": "system", "content": "Be “brief”."}
        assert second == {"role": "user", "content": "x", "more": {"a": []}}
        assert seen.body.startswith(b'{"odd": 1.10 , "model":"prompted","messages":[')
        assert seen.body.endswith(b',"z": 1e2}')
        assert got.status == 200

    def test_or_in_the_place_of_the_caller_s(self, house: House) -> None:
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": [{"type": "text", "text": "old"}], "name": "kept"},
            {"role": "developer", "content": "stays"},
            {"role": "system", "content": "stays too"},
        ]

        _, (seen,) = house.send({"model": "prompted", "messages": messages})

        assert seen.json()["messages"] == [{**messages[0], "content": "Be “brief”."}, *messages[1:]]

    def test_messages_keep_their_bytes_beside_it(self, house: House) -> None:
        """Also where the writer could not say the same again: numbers beyond 64 bits, and how they are written."""
        message = b'{"role":"user","content":"\\u00e9","big":123456789012345678901234567890,"f": 1.10}'

        _, (seen,) = house.send(b'{"model":"prompted","messages":[%b]}' % message)

        assert message in seen.body

    def test_the_log_says_so(self, house: House) -> None:
        house.send(chat("prompted"))

        query = f"SELECT system_prompt_reset FROM logs WHERE user_id = {house.user.id} ORDER BY id DESC LIMIT 1"
        assert house.gateway.database.value(query)

    def test_a_mapped_model_in_a_form(self, house: House) -> None:
        parts = [("file", b"\x00--B0un\r\n", "a.mp3"), ("language", b"en", None)]
        content_type = "multipart/form-data; boundary=B0und"

        got, (seen,) = house.send(
            form(parts[0], ("model", b"mapped-whisper", None), parts[1]),
            "/v1/audio/transcriptions",
            Content_Type=content_type,
        )

        assert got.status == 200
        assert seen.body == form(parts[0], ("model", b"large-v3", None), parts[1])

    def test_an_engine_in_the_path_is_the_model_that_is_priced_and_asked_for(self, house: House) -> None:
        got, (seen,) = house.send({"input": "x"}, "/v1/engines/text-embedding-3-small/embeddings")

        assert got.status == 200
        assert (seen.target, seen.json()) == ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"})

    def test_an_engine_in_the_path_is_not_another_than_in_the_body(self, house: House) -> None:
        body = {"input": "x", "model": "text-embedding-3-small"}

        got, (seen,) = house.send(body, "/v1/engines/mapped/embeddings")

        assert (got.status, seen.target, seen.json()) == (200, "/v1/embeddings", body)


class TestStreamOptions:
    def usage_chunks(self, got: Got) -> list[Any]:
        chunks = [json.loads(event) for event in got.events() if event != "[DONE]"]
        return [chunk["usage"] for chunk in chunks if not chunk["choices"]]

    def test_are_added_and_their_chunk_is_hidden(self, house: House) -> None:
        body = b'{ "model":"gpt-3.5-turbo", "stream":true,"messages":[{"role":"user","content":"x"}], "n" : 1}'

        got, (seen,) = house.send(body)

        assert seen.body == b'{"stream_options":{"include_usage":true},' + body[1:]
        assert self.usage_chunks(got) == []

    def test_are_left_as_the_caller_wrote_them_and_their_chunk_is_shown(self, house: House) -> None:
        body = json.dumps(chat(MODEL, stream=True, stream_options={"include_usage": True})).encode()

        got, (seen,) = house.send(body)

        assert seen.body == body
        assert self.usage_chunks(got) == [{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}]

    @pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_obfuscation": False}])
    def test_are_completed(self, house: House, options: Any) -> None:
        got, (seen,) = house.send(chat(MODEL, stream=True, stream_options=options))

        assert seen.json()["stream_options"] == {**(options or {}), "include_usage": True}
        assert self.usage_chunks(got) == []

    def test_of_a_completion_too(self, house: House) -> None:
        got, (seen,) = house.send({"model": "gpt-3.5-turbo-instruct", "prompt": "x", "stream": True}, "/v1/completions")

        assert seen.json()["stream_options"] == {"include_usage": True}
        assert self.usage_chunks(got) == []

    def test_are_not_added_to_a_plain_call(self, house: House) -> None:
        _, (seen,) = house.send(chat(MODEL, stream=False))

        assert "stream_options" not in seen.json()

    def test_a_caller_s_own_bad_options_do_not_spoil_the_channel_for_others(self, house: House) -> None:
        """A 400 that names the member is no proof that the upstream does not know it: only a success without it is."""
        got, seen = house.send(chat("odd-options", stream=True, stream_options={"odd": 1}))

        assert got.status == 400
        assert len(seen) == 2
        refuses = "SELECT refuses_stream_options FROM channels WHERE base_url <> '' AND models = 'odd-options'"
        assert not house.gateway.database.value(refuses)


class TestAskedOnEveryType:
    """ENFORCE_INCLUDE_USAGE: also where the channel has learnt otherwise, and the chunk is shown to all."""

    @pytest.fixture(scope="class")
    def enforcing(
        self, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[tuple[Gateway, Account]]:
        folder = tmp_path_factory.mktemp("enforcing")
        settings = {"ENFORCE_INCLUDE_USAGE": "true"}
        with migrated.copy("sqlite", folder) as database, server.running(database, 1, folder, settings) as gateway:
            gateway.add_channel(upstream_process.url, MODEL, refuses_stream_options=True)
            gateway.wait_until_routed(ROOT_TOKEN, MODEL)
            yield gateway, gateway.new_user(PURSE)

    @pytest.mark.parametrize("members", [{}, {"stream_options": {"include_usage": False}}])
    def test_and_shown(
        self, enforcing: tuple[Gateway, Account], upstream: FakeUpstream, members: dict[str, Any]
    ) -> None:
        got = ask(*enforcing, PATH, chat(MODEL, stream=True, **members))

        assert upstream.seen()[0].json()["stream_options"] == {"include_usage": True}
        assert json.loads(got.events()[-2])["usage"]["total_tokens"] == 15

    def test_headers_of_strangers_are_not_believed(self, enforcing: tuple[Gateway, Account]) -> None:
        """Without TRUSTED_PROXIES nobody is one."""
        gateway = enforcing[0]
        account = gateway.new_user(PURSE, subnet="192.168.1.0/24")
        forged = {"X-Forwarded-For": "192.168.1.7", "X-Real-IP": "192.168.1.7", "Forwarded": "for=192.168.1.7"}

        assert ask(gateway, account, PATH, chat(MODEL), headers=forged).status == 403


class TestRefused:
    @pytest.mark.parametrize(
        ("path", "body", "code"),
        [
            (PATH, b"", "invalid_text_request"),
            (PATH, b"{", "invalid_text_request"),
            (PATH, b"[]", "invalid_text_request"),
            (PATH, b"null", "invalid_text_request"),
            (PATH, b"\xff", "invalid_text_request"),
            (PATH, {}, "invalid_text_request"),
            (PATH, {"model": MODEL}, "invalid_text_request"),
            (PATH, {"model": MODEL, "messages": []}, "invalid_text_request"),
            (PATH, {"model": MODEL, "messages": "x"}, "invalid_text_request"),
            (PATH, {"model": MODEL, "messages": ["x"]}, "invalid_text_request"),
            (PATH, {"model": MODEL, "messages": {"role": "user"}}, "invalid_text_request"),
            (PATH, chat(""), "invalid_text_request"),
            (PATH, {**chat(MODEL), "model": 5}, "invalid_text_request"),
            (PATH, {**chat(MODEL), "model": ["x"]}, "invalid_text_request"),
            (PATH, chat(MODEL, max_tokens=-1), "invalid_text_request"),
            (PATH, chat(MODEL, max_tokens=2**30), "invalid_text_request"),
            (PATH, chat(MODEL, max_tokens="5"), "invalid_text_request"),
            (PATH, chat(MODEL, max_tokens=1.5), "invalid_text_request"),
            (PATH, chat(MODEL, max_tokens=True), "invalid_text_request"),
            (PATH, chat(MODEL, max_completion_tokens=-1), "invalid_text_request"),
            (PATH, chat(MODEL, n=0), "invalid_text_request"),
            (PATH, chat(MODEL, n=-1), "invalid_text_request"),
            (PATH, chat(MODEL, n="2"), "invalid_text_request"),
            (PATH, chat(MODEL, stream="true"), "invalid_text_request"),
            (PATH, chat(MODEL, stream=1), "invalid_text_request"),
            (PATH, chat(MODEL, stream_options=[]), "invalid_text_request"),
            (PATH, b'{"model":"gpt-3.5-turbo","model":"x","messages":[{}]}', "invalid_text_request"),
            (PATH, b'{"model":"gpt-3.5-turbo","Model":"x","messages":[{}]}', "invalid_text_request"),
            (PATH, b'{"model":"gpt-3.5-turbo","mod\\u0065l":"x","messages":[{}]}', "invalid_text_request"),
            (PATH, {"Model": MODEL, "messages": [{"role": "user", "content": "x"}]}, "invalid_text_request"),
            ("/v1/completions", {"model": MODEL, "prompt": ""}, "invalid_text_request"),
            ("/v1/edits", {"model": MODEL, "input": "x"}, "invalid_text_request"),
            ("/v1/edits", {"model": MODEL, "instruction": ""}, "invalid_text_request"),
            ("/v1/moderations", {"input": ""}, "invalid_text_request"),
            ("/v1/embeddings", b"not json", "invalid_text_request"),
            ("/v1/embeddings", {"input": "x"}, "invalid_text_request"),
            ("/v1/images/generations", b"{", "invalid_image_request"),
            ("/v1/images/generations", {"model": "dall-e-2"}, "prompt_missing"),
            ("/v1/images/generations", {"prompt": "x", "size": "1x1"}, "size_not_supported"),
            ("/v1/images/generations", {"prompt": "x" * 1001}, "prompt_too_long"),
            ("/v1/images/generations", {"prompt": "x", "n": 0}, "n_not_within_range"),
            ("/v1/images/generations", {"prompt": "x", "n": -3}, "n_not_within_range"),
            ("/v1/images/generations", {"prompt": "x", "n": 11}, "n_not_within_range"),
            ("/v1/images/generations", {"prompt": "x", "n": "2"}, "n_not_within_range"),
            ("/v1/audio/speech", b"[", "invalid_json"),
            ("/v1/audio/speech", {"model": "tts-1"}, "invalid_json"),
            ("/v1/audio/speech", {"model": "tts-1", "input": "é" * 4097}, "text_too_long"),
        ],
    )
    def test_with_the_contract_s_code_and_nobody_called(self, house: House, path: str, body: Any, code: str) -> None:
        got, seen = house.send(body, path)

        assert (got.status, got.error["code"], got.error["type"]) == (400, code, "one_api_error")
        assert got.error["message"].endswith(f"(request id: {got.request_id})")
        assert seen == []

    @pytest.mark.parametrize("member", ["tools", "response_format", "metadata", "messages"])
    @pytest.mark.parametrize("depth", [300, 600, 1000, 20_000])
    def test_deep_nesting(self, house: House, member: str, depth: int) -> None:
        nested = "[" * depth + "]" * depth
        base = '{"model":"prompted","messages":[{"role":"user","content":"x"}]'
        body = f'{base},"{member}":{nested}}}'
        if member == "messages":
            body = f'{{"model":"prompted","messages":[{{"role":"user","content":{nested}}}]}}'

        got, seen = house.send(body.encode())

        assert (got.status, seen) == (400, [])

    @pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=other"])
    def test_a_form_without_its_boundary(self, house: House, content_type: str) -> None:
        body = form(("file", b"x", "a.mp3"))

        got, seen = house.send(body, "/v1/audio/transcriptions", Content_Type=content_type)

        assert (got.status, got.error["code"], seen) == (400, "invalid_form", [])

    @pytest.mark.parametrize("n", [b"0", b"-1", b"x", b"1.5", b"9999999", "٣".encode()])
    def test_a_number_of_images_in_a_form(self, house: House, n: bytes) -> None:
        body = form(("image", b"x", "a.png"), ("prompt", b"x", None), ("n", n, None))

        got, seen = house.send(body, "/v1/images/edits", Content_Type="multipart/form-data; boundary=B0und")

        assert (got.status, got.error["code"], seen) == (400, "n_not_within_range", [])


class TestSize:
    def padded(self, size: int) -> bytes:
        body = json.dumps(chat(MODEL, "")).encode()
        return body.replace(b'""', b'"' + b"x" * (size - len(body)) + b'"')

    def test_up_to_the_limit_it_passes(self, house: House) -> None:
        got, (seen,) = house.send(self.padded(MIB))

        assert (got.status, len(seen.body)) == (200, MIB)

    def test_beyond_it_is_413(self, house: House) -> None:
        got, seen = house.send(self.padded(MIB + 1))

        assert (got.status, got.error["code"], seen) == (413, "request_too_large", [])

    def test_beyond_it_without_a_length_is_413_too(self, house: House) -> None:
        body = self.padded(MIB + 100_000)
        chunked = b"".join(b"10000\r\n%b\r\n" % body[i : i + 65_536] for i in range(0, MIB, 65_536))

        with connected(house.gateway) as socket:
            head, _, _ = post(house.gateway, house.user, b"").partition(b"\r\n\r\n")
            socket.sendall(head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"\r\n\r\n" + chunked)
            socket.sendall(b"1\r\nx\r\n")
            assert socket.recv(1000).startswith(b"HTTP/1.1 413")

    def test_the_key_is_looked_at_first(self, house: House) -> None:
        with connected(house.gateway) as socket:
            head, _, _ = post(house.gateway, house.user, b"").partition(b"\r\n\r\n")
            lines = head.replace(b"Content-Length: 0", b"Content-Length: 900000").replace(b"Bearer sk-", b"Bearer no-")
            socket.sendall(lines + b"\r\n\r\n")
            assert socket.recv(1000).startswith(b"HTTP/1.1 401")


class TestGzip:
    def test_a_compressed_body_is_undone(self, house: House) -> None:
        body = json.dumps(chat(MODEL)).encode()

        got, (seen,) = house.send(squeezed(body), Content_Encoding="gzip")

        assert (got.status, seen.body) == (200, body)
        assert "content-encoding" not in seen.headers

    def test_a_bomb_is_413_and_quick(self, house: House) -> None:
        before = house.gateway.memory()
        got, seen = house.send(squeezed(bytes(200 * MIB)), Content_Encoding="gzip")

        assert (got.status, seen) == (413, [])
        assert house.gateway.memory() - before < 30 * MIB

    @pytest.mark.parametrize("body", [b"not gzip", b"", squeezed(b'{"model":"x"}')[:-9], squeezed(b"{")])
    def test_a_bad_one_is_400(self, house: House, body: bytes) -> None:
        got, seen = house.send(body, Content_Encoding="gzip")

        assert (got.status, seen) == (400, [])


class TestWhatClientsSend:
    """Bodies of real programs that a stricter reader would refuse (clients.md)."""

    CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    @pytest.mark.parametrize(
        "members",
        [
            {
                "messages": [
                    {"role": "user", "content": "x"},
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                ]
            },
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [CALL]}]},
            {"messages": [{"role": "assistant", "content": "", "refusal": None, "provider_specific_fields": None}]},
            {"messages": [{"role": "tool", "tool_call_id": "c1", "content": ""}]},
            {"messages": [{"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "x"}]}]},
            {"messages": [{"role": "system", "content": [{"type": "text", "text": "x"}]}]},
            {"messages": [{"role": "developer", "content": "x"}]},
            {"messages": [{"role": "user", "content": [None, 5, "x", {}, {"type": "image_url"}, {"image_url": 5}]}]},
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y"}}]}]},
            {"messages": [{}]},
            {"tools": [], "stop": ["a"], "parallel_tool_calls": False, "store": None},
            {"tools": None, "tool_choice": "required", "n": None, "max_tokens": None, "stream": None},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}, "max_completion_tokens": 128_000},
            {"max_tokens": 0},
            {"stream": True, "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        ],
    )
    @pytest.mark.parametrize("usage", ["told", "untold"])
    def test_chat(self, house: House, members: dict[str, Any], usage: str) -> None:
        body = {**chat(MODEL), **members}
        if usage == "untold":
            body["model"] = "refuses"  # an upstream that never tells, so that the prompt is counted here

        got, _ = house.send(body)

        assert got.status == 200

    @pytest.mark.parametrize(
        ("members", "count"),
        [
            ({"input": "x"}, 1),
            ({"input": ["x", "y"]}, 2),
            ({"input": [1, 2, 3]}, 1),
            ({"input": [[1, 2], [3]]}, 2),
            ({"input": "x", "encoding_format": "base64"}, 1),
            ({"input": "x", "encoding_format": None, "dimensions": 3}, 1),
            ({}, 1),
        ],
    )
    def test_embeddings(self, house: House, members: dict[str, Any], count: int) -> None:
        got, _ = house.send({"model": "text-embedding-3-small", **members}, "/v1/embeddings")

        assert got.status == 200
        if "input" in members:
            assert len(got.json()["data"]) == count
