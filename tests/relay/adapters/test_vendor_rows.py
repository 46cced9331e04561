"""Where calls go to vendors that speak OpenAI's protocol at addresses of their own, and keys that are plainly wrong."""

from __future__ import annotations

import pytest

from channels_app.providers import PROVIDERS
from relay.adapters.openai.channels import OpenAI
from relay.errors import UpstreamError
from relay.types import Mode
from tests.relay.wire.cases import route

OWN = {
    Mode.CHAT: "/v1/chat/completions",
    Mode.COMPLETIONS: "/v1/completions",
    Mode.EMBEDDINGS: "/v1/embeddings",
    Mode.IMAGES: "/v1/images/generations",
    Mode.MODERATIONS: "/v1/moderations",
}


def url(kind: int, mode: Mode) -> str:
    return OpenAI().url(route(kind), mode, OWN[mode], "", "a-model")


@pytest.mark.parametrize(
    ("kind", "mode", "expected"),
    [
        (19, Mode.CHAT, "https://ai.360.cn/v1/chat/completions"),
        (25, Mode.CHAT, "https://api.moonshot.cn/v1/chat/completions"),
        (26, Mode.EMBEDDINGS, "https://api.baichuan-ai.com/v1/embeddings"),
        (27, Mode.CHAT, "https://api.minimax.chat/v1/text/chatcompletion_v2"),
        (31, Mode.CHAT, "https://api.lingyiwanwu.com/v1/chat/completions"),
        (32, Mode.IMAGES, "https://api.stepfun.com/v1/images/generations"),
        (40, Mode.CHAT, "https://ark.cn-beijing.volces.com/api/v3/chat/completions"),
        (40, Mode.EMBEDDINGS, "https://ark.cn-beijing.volces.com/api/v3/embeddings"),
        (40, Mode.IMAGES, "https://ark.cn-beijing.volces.com/api/v3/images/generations"),
        (44, Mode.IMAGES, "https://api.siliconflow.cn/v1/images/generations"),
        (47, Mode.CHAT, "https://qianfan.baidubce.com/v2/chat/completions"),
        (47, Mode.EMBEDDINGS, "https://qianfan.baidubce.com/v2/embeddings"),
        (47, Mode.IMAGES, "https://qianfan.baidubce.com/v2/images/generations"),
        (48, Mode.CHAT, "https://spark-api-open.xf-yun.com/v1/chat/completions"),
        (49, Mode.CHAT, "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions"),
        (49, Mode.COMPLETIONS, "https://dashscope.aliyuncs.com/compatible-mode/v1/completions"),
        (49, Mode.EMBEDDINGS, "https://dashscope.aliyuncs.com/compatible-mode/v1/embeddings"),
    ],
)
def test_a_call_goes_to_the_vendors_own_address(kind: int, mode: Mode, expected: str) -> None:
    assert url(kind, mode) == expected


@pytest.mark.parametrize(("kind", "path"), [(47, "/v2/rerank"), (49, "/compatible-api/v1/reranks")])
def test_ranking_has_an_address_where_the_vendor_ranks(kind: int, path: str) -> None:
    provider = PROVIDERS[kind]

    assert "rerank" in provider.modes
    assert provider.paths["rerank"] == path


@pytest.mark.parametrize(
    ("kind", "mode"), [(27, Mode.EMBEDDINGS), (40, Mode.MODERATIONS), (47, Mode.COMPLETIONS), (49, Mode.IMAGES)]
)
def test_what_a_vendor_does_not_serve_is_refused_before_any_call(kind: int, mode: Mode) -> None:
    with pytest.raises(UpstreamError) as caught:
        url(kind, mode)

    assert (caught.value.status, caught.value.code) == (400, "unsupported_mode")


@pytest.mark.parametrize(
    ("kind", "key", "fits"),
    [
        (15, "APIKey|SecretKey", True),
        (15, "bce-v3/ALTAK-a/b", False),
        (18, "APPID|APISecret|APIKey", True),
        (18, "APIPassword", False),
        (23, "1250000000|SecretId|SecretKey", True),
        (23, "sk-compatible", True),
        (23, "SecretId|SecretKey", False),
        (47, "bce-v3/ALTAK-a/b", True),
        (47, "APIKey|SecretKey", False),
        (48, "key123:secret456", True),
        (48, "APPID|APISecret|APIKey", False),
    ],
)
def test_the_key_of_a_vendors_other_interface_is_refused(kind: int, key: str, fits: bool) -> None:
    assert (PROVIDERS[kind].key_pattern.fullmatch(key) is not None) is fits


@pytest.mark.parametrize("kind", [15, 16, 17, 18, 21, 23])
def test_channels_of_vendors_own_protocols_are_served(kind: int) -> None:
    assert PROVIDERS[kind].served
