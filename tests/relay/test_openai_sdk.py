"""OpenAI's own client, sync and async, against a real server: what it gets, and to the point what it costs.

The provider reports 10 prompt and 5 completion tokens unless a script says otherwise. Prices of the default tables:
gpt-3.5-turbo 0.25 a prompt token, completions times 3; so one call costs ceil((10 + 5 x 3) x 0.25) = 7 points.
"""

from __future__ import annotations

import time
from typing import Any

import openai
import pytest

from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.conftest import Payer
from tests.server import Gateway
from tests.upstream.answers import EMBEDDING, SPEECH
from tests.upstream.script import TEXT

CHAT = "gpt-3.5-turbo"
ONE_CALL = 7  # points, see above
SEEN_WITHIN = 1.5  # seconds after which a change of a channel is known to every worker
SAID = "Hello from the upstream."  # 5 tokens of cl100k_base


def ask(text: str = "Hello") -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def text_of(stream) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


class TestChat:
    def test_answers_and_charges_what_the_upstream_counted(self, payer: Payer) -> None:
        answer = payer.sdk.chat.completions.create(model=CHAT, messages=ask())

        assert answer.choices[0].message.content == TEXT
        assert answer.usage.total_tokens == 15
        assert payer.charged() == ONE_CALL

    def test_charges_more_for_more(self, payer: Payer) -> None:
        payer.sdk.chat.completions.create(model=CHAT, messages=ask(in_text(usage=[1000, 500])))

        assert payer.charged() == 625  # (1000 + 500 x 3) x 0.25

    def test_a_stream_that_asks_sees_its_usage(self, payer: Payer) -> None:
        chunks = list(
            payer.sdk.chat.completions.create(
                model=CHAT, messages=ask(), stream=True, stream_options={"include_usage": True}
            )
        )

        assert text_of(chunks) == TEXT
        assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 15)
        assert payer.charged() == ONE_CALL

    def test_a_stream_that_does_not_ask_sees_none_and_is_charged_the_same(self, payer: Payer) -> None:
        chunks = list(payer.sdk.chat.completions.create(model=CHAT, messages=ask(in_text(usage=[90, 40])), stream=True))

        assert text_of(chunks) == TEXT
        assert all(chunk.choices and chunk.usage is None for chunk in chunks)
        assert payer.charged() == 53  # ceil((90 + 40 x 3) x 0.25 = 52.5)
        assert not payer.last.estimated

    @pytest.mark.parametrize("framing", ["no_space", "comments", "crlf", "multiline", "huge"])
    def test_every_way_of_writing_events_says_the_same(self, payer: Payer, framing: str) -> None:
        orders = in_text(framing=framing, usage=[10, 5])

        stream = payer.sdk.chat.completions.create(model=CHAT, messages=ask(orders), stream=True)

        assert text_of(stream) == (TEXT[:18] + "x" * 200_000 if framing == "huge" else TEXT)
        assert payer.charged() == ONE_CALL

    def test_an_upstream_that_refuses_stream_options_is_asked_without_and_remembered(
        self, payer: Payer, served: Gateway, upstream: FakeUpstream
    ) -> None:
        model = "gpt-3.5-turbo-16k"  # on a channel of its own, which learns
        served.add_channel(upstream.scripted(refuses=True), model)
        served.wait_until_routed(payer.account.key, model)

        first = payer.sdk.chat.completions.create(model=model, messages=ask(), stream=True)
        assert text_of(first) == TEXT
        assert payer.last.estimated
        assert payer.last.completion_tokens == 5  # SAID
        time.sleep(SEEN_WITHIN)
        second = payer.sdk.chat.completions.create(model=model, messages=ask(), stream=True)
        assert text_of(second) == TEXT

        assert ["stream_options" in one.json() for one in upstream.seen()] == [True, False, False]
        assert payer.charged() == 2 * payer.last.quota > 0

    def test_without_any_usage_we_count_ourselves(self, payer: Payer) -> None:
        payer.sdk.chat.completions.create(model=CHAT, messages=ask(in_text(usage=None)))

        assert payer.last.estimated
        assert payer.last.completion_tokens == 5  # SAID
        assert payer.charged() == payer.last.quota > 0

    def test_the_body_reaches_the_upstream_untouched(self, payer: Payer, upstream: FakeUpstream) -> None:
        payer.sdk.chat.completions.create(model=CHAT, messages=ask(), seed=0, extra_body={"vendor_member": {"a": 1.10}})

        (seen,) = upstream.seen()
        assert seen.json()["vendor_member"] == {"a": 1.10}
        assert seen.headers["authorization"] == "Bearer sk-upstream"
        assert int(seen.headers["content-length"]) == len(seen.body)
        assert "x-stainless-lang" not in seen.headers

    def test_a_compressed_answer_is_read_and_charged(self, payer: Payer) -> None:
        answer = payer.sdk.chat.completions.create(model=CHAT, messages=ask(in_text(gzip=True)))

        assert answer.choices[0].message.content == TEXT
        assert payer.charged() == ONE_CALL

    async def test_async_chat_and_stream(self, payer: Payer) -> None:
        async with payer.sdk_async() as sdk:
            answer = await sdk.chat.completions.create(model=CHAT, messages=ask())
            stream = await sdk.chat.completions.create(
                model=CHAT, messages=ask(), stream=True, stream_options={"include_usage": True}
            )
            chunks = [chunk async for chunk in stream]

        assert answer.choices[0].message.content == text_of(chunks) == TEXT
        assert chunks[-1].usage.completion_tokens == 5
        assert payer.charged() == 2 * ONE_CALL

    def test_legacy_completions(self, payer: Payer) -> None:
        model = "gpt-3.5-turbo-instruct"  # 0.75, completions x 4/3: ceil(10 x 0.75 + 5 x 1) = 13, rounded up once
        answer = payer.sdk.completions.create(model=model, prompt="Say hello")
        stream = payer.sdk.completions.create(model=model, prompt="Say hello", stream=True)

        assert answer.choices[0].text == TEXT
        assert "".join(chunk.choices[0].text for chunk in stream) == TEXT
        assert payer.charged() == 2 * 13


class TestEmbeddings:
    MODEL = "text-embedding-3-small"  # 0.01 a token

    def test_base64_as_the_sdk_asks_by_default(self, payer: Payer, upstream: FakeUpstream) -> None:
        answer = payer.sdk.embeddings.create(model=self.MODEL, input=in_text(usage=[1000, 0]))

        assert upstream.seen()[0].json()["encoding_format"] == "base64"
        assert answer.data[0].embedding == EMBEDDING
        assert payer.charged() == 10

    def test_a_list_of_inputs_as_floats(self, payer: Payer) -> None:
        answer = payer.sdk.embeddings.create(model=self.MODEL, input=["one", "two"], encoding_format="float")

        assert [one.embedding for one in answer.data] == [EMBEDDING, EMBEDDING]
        assert payer.charged() == 1  # 10 x 0.01 = 0.1, rounded up

    async def test_async(self, payer: Payer) -> None:
        async with payer.sdk_async() as sdk:
            answer = await sdk.embeddings.create(model=self.MODEL, input="one")

        assert answer.data[0].embedding == EMBEDDING
        assert payer.charged() == 1


class TestImages:
    def test_generate(self, payer: Payer) -> None:
        answer = payer.sdk.images.generate(model="dall-e-2", prompt="a cat", n=2, size="256x256")

        assert len(answer.data) == 2
        assert payer.charged() == 2 * 10_000  # 10 x 1 x 1000 points each

    def test_generate_in_high_quality(self, payer: Payer) -> None:
        payer.sdk.images.generate(model="dall-e-3", prompt="a cat", size="1024x1792", quality="hd")

        assert payer.charged() == 60_000  # 20 x 2 (size) x 1.5 (hd) x 1000

    def test_edit(self, payer: Payer) -> None:
        answer = payer.sdk.images.edit(
            model="dall-e-2", image=("cat.png", b"png"), prompt="a hat on the cat", size="512x512"
        )

        assert answer.data[0].url.endswith("0.png")
        assert payer.charged() == 11_250  # 10 x 1.125 x 1000

    @pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
    def test_variation(self, payer: Payer) -> None:
        answer = payer.sdk.images.create_variation(image=("cat.png", b"png"), n=3, size="1024x1024")

        assert len(answer.data) == 3
        assert payer.charged() == 3 * 12_500  # 10 x 1.25 x 1000


class TestAudio:
    def test_speech(self, payer: Payer) -> None:
        answer = payer.sdk.audio.speech.create(model="tts-1", voice="alloy", input="Grüße!")

        assert answer.read() == SPEECH
        assert payer.charged() == 45  # 6 characters x 7.5

    @pytest.mark.parametrize("response_format", ["json", "text", "srt", "verbose_json", "vtt"])
    def test_transcription(self, payer: Payer, response_format: str) -> None:
        answer = payer.sdk.audio.transcriptions.create(
            model="whisper-1", file=("speech.mp3", b"ID3"), response_format=response_format
        )

        assert SAID in (answer if isinstance(answer, str) else answer.text)
        assert payer.charged() == 75  # 5 tokens x 15

    def test_translation(self, payer: Payer) -> None:
        answer = payer.sdk.audio.translations.create(model="whisper-1", file=("speech.mp3", b"ID3"))

        assert answer.text == SAID
        assert payer.charged() == 75


class TestModerationsAndModels:
    def test_moderation_is_charged_by_our_count(self, payer: Payer) -> None:
        answer = payer.sdk.moderations.create(model="text-moderation-latest", input=" ".join(["one"] * 11))

        assert not answer.results[0].flagged
        assert payer.charged() == 2  # 11 tokens x 0.1, rounded up

    def test_models_list_and_retrieve(self, payer: Payer) -> None:
        assert CHAT in {model.id for model in payer.sdk.models.list()}
        assert payer.sdk.models.retrieve(CHAT).id == CHAT
        with pytest.raises(openai.NotFoundError):
            payer.sdk.models.retrieve("gpt-nobody-has")
        assert payer.charged() == 0


class TestErrors:
    """Each failure gets the SDK's own class, and costs nothing."""

    @pytest.mark.parametrize(
        ("status", "error_class"),
        [
            (400, openai.BadRequestError),
            (401, openai.AuthenticationError),
            (403, openai.PermissionDeniedError),
            (404, openai.NotFoundError),
            (429, openai.RateLimitError),
            (500, openai.InternalServerError),
            (502, openai.InternalServerError),
        ],
    )
    @pytest.mark.parametrize("stream", [False, True])
    def test_of_the_upstream(
        self, payer: Payer, status: int, error_class: type[openai.APIStatusError], stream: bool
    ) -> None:
        with pytest.raises(error_class) as raised:
            payer.sdk.chat.completions.create(model=CHAT, messages=ask(in_text(status=status)), stream=stream)

        assert type(raised.value) is error_class
        assert raised.value.status_code == status
        assert raised.value.code == "scripted"
        assert "request id" in str(raised.value)
        assert payer.charged() == 0

    @pytest.mark.parametrize("shape", ["html", "empty", "odd", "text", "message"])
    def test_of_the_upstream_in_any_shape(self, payer: Payer, shape: str) -> None:
        with pytest.raises(openai.InternalServerError) as raised:
            payer.sdk.chat.completions.create(model=CHAT, messages=ask(in_text(status=500, error=shape)))

        assert raised.value.type == "upstream_error"
        body: Any = raised.value.body
        assert body["message"].partition(" (request id")[0]  # never empty
        assert payer.charged() == 0

    def test_bad_key(self, payer: Payer) -> None:
        with pytest.raises(openai.AuthenticationError):
            payer.sdk.with_options(api_key="sk-" + "0" * 48).chat.completions.create(model=CHAT, messages=ask())

    async def test_bad_key_async(self, payer: Payer) -> None:
        async with payer.sdk_async() as sdk:
            with pytest.raises(openai.AuthenticationError):
                await sdk.with_options(api_key="sk-" + "0" * 48).models.list()

    def test_a_model_nobody_carries_is_404(self, payer: Payer) -> None:
        with pytest.raises(openai.NotFoundError) as raised:
            payer.sdk.chat.completions.create(model="gpt-nobody-has", messages=ask())
        assert raised.value.code == "model_not_found"

    def test_a_model_whose_channels_are_off_is_503(self, payer: Payer, served: Gateway, upstream: FakeUpstream) -> None:
        served.add_channel(upstream.url, "gpt-switched-off", status=2)
        served.add_channel(upstream.url, "gpt-known-afterwards")
        served.wait_until_routed(payer.account.key, "gpt-known-afterwards")

        with pytest.raises(openai.InternalServerError) as raised:
            payer.sdk.chat.completions.create(model="gpt-switched-off", messages=ask())

        assert raised.value.status_code == 503

    def test_an_empty_purse_is_403(self, payer: Payer, served: Gateway) -> None:
        poor = served.new_user(3)
        sdk = payer.sdk.with_options(api_key=f"sk-{poor.key}")

        with pytest.raises(openai.PermissionDeniedError) as raised:
            sdk.chat.completions.create(model=CHAT, messages=ask(), max_tokens=1000)

        assert raised.value.code == "insufficient_user_quota"
        assert served.books().quota(poor.id) == 3

    def test_an_error_chunk_in_a_stream_is_raised_and_what_came_is_charged(self, payer: Payer) -> None:
        stream = payer.sdk.chat.completions.create(model=CHAT, messages=ask(in_text(error_after=2)), stream=True)

        heard: list[str] = []
        with pytest.raises(openai.APIError, match="The upstream refuses"):
            heard.extend(chunk.choices[0].delta.content or "" for chunk in stream)

        assert TEXT.startswith("".join(heard))
        assert any(heard)
        assert payer.charged() > 0
        assert payer.last.estimated

    def test_a_broken_plain_answer_is_an_error_and_free(self, payer: Payer) -> None:
        with pytest.raises(openai.InternalServerError):
            payer.sdk.chat.completions.create(model=CHAT, messages=ask(in_text(truncate=True)))
        assert payer.charged() == 0

    def test_an_error_in_a_200_is_an_error_and_free(self, payer: Payer) -> None:
        with pytest.raises(openai.APIStatusError):
            payer.sdk.chat.completions.create(model=CHAT, messages=ask(in_text(error_in_200=True)))
        assert payer.charged() == 0

    def test_a_redirect_is_not_followed(self, payer: Payer, upstream: FakeUpstream) -> None:
        with pytest.raises(openai.InternalServerError):
            payer.sdk.chat.completions.create(
                model=CHAT, messages=ask(in_text(redirect=upstream.url + "/v1/elsewhere"))
            )

        assert [one.target for one in upstream.seen()] == ["/v1/chat/completions"]
        assert payer.charged() == 0

    def test_a_json_answer_to_a_stream_request_is_an_error_and_free(self, payer: Payer) -> None:
        with pytest.raises(openai.APIError):
            list(payer.sdk.chat.completions.create(model=CHAT, messages=ask(in_text(plain=True)), stream=True))
        assert payer.charged() == 0
