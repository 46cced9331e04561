"""The form of each of the 51 types, against the console reference (5.2 and 13)."""

from __future__ import annotations

import json

import pytest
from django.utils import translation

from channels_app import form_table
from channels_app.form_table import form_of
from channels_app.providers import PROVIDERS
from channels_app.validation import ChannelInvalid, columns_of

ORDER = [
    *(1, 50, 14, 33, 3, 11, 24, 51, 28, 41, 40, 15, 47, 17, 49, 18, 48, 16, 19, 25, 23, 26, 27, 29, 30, 31, 32, 34, 35),
    *(36, 37, 38, 39, 42, 43, 44, 45, 46, 8, 22, 21, 20, 2, 5, 7, 10, 4, 6, 9, 12, 13),
]
# type -> (default address, boxes: name, "!" required, "*" secret). What is not named has "base_url" alone.
ADDRESSES = {
    1: "https://api.openai.com",
    2: "https://oa.api2d.net",
    3: "",
    4: "https://api.closeai-proxy.xyz",
    5: "https://api.openai-sb.com",
    6: "https://api.openaimax.com",
    7: "https://api.ohmygpt.com",
    8: "",
    9: "https://api.caipacity.com",
    10: "https://api.aiproxy.io",
    11: "https://generativelanguage.googleapis.com",
    12: "https://api.api2gpt.com",
    13: "https://api.aigc2d.com",
    14: "https://api.anthropic.com",
    15: "https://aip.baidubce.com",
    16: "https://open.bigmodel.cn",
    17: "https://dashscope.aliyuncs.com",
    18: "",
    19: "https://ai.360.cn",
    20: "https://openrouter.ai/api",
    21: "https://api.aiproxy.io",
    22: "https://fastgpt.run/api/openapi",
    23: "https://hunyuan.tencentcloudapi.com",
    24: "https://generativelanguage.googleapis.com",
    25: "https://api.moonshot.cn",
    26: "https://api.baichuan-ai.com",
    27: "https://api.minimax.chat",
    28: "https://api.mistral.ai",
    29: "https://api.groq.com/openai",
    30: "http://localhost:11434",
    31: "https://api.lingyiwanwu.com",
    32: "https://api.stepfun.com",
    33: "",
    34: "https://api.coze.com",
    35: "https://api.cohere.com",  # the reference's api.cohere.ai is its former name
    36: "https://api.deepseek.com",
    37: "https://api.cloudflare.com",
    38: "https://api-free.deepl.com",
    39: "https://api.together.xyz",
    40: "https://ark.cn-beijing.volces.com",
    41: "https://api.novita.ai/v3/openai",
    42: "",
    43: "",
    44: "https://api.siliconflow.cn",
    45: "https://api.x.ai",
    46: "https://api.replicate.com/v1/models",
    47: "https://qianfan.baidubce.com",
    48: "https://spark-api-open.xf-yun.com",
    49: "https://dashscope.aliyuncs.com",
    50: "",
    51: "https://generativelanguage.googleapis.com/v1beta/openai",
}
BOXES = {
    3: "base_url! api_version!",
    8: "base_url!",
    17: "plugin base_url",
    18: "api_version base_url",
    21: "library_id! base_url",
    24: "api_version base_url",
    33: "api_version region! ak!* sk!*",
    34: "user_id! base_url",
    35: "api_version base_url",
    37: "user_id! base_url",
    42: "region! vertex_ai_project_id! vertex_ai_adc!*",
    43: "base_url!",
    50: "base_url!",
}
TIPPED = {8, 15, 17, 18, 47, 48}
NOTICED = {3, 34, 40}
DESCRIBED = {8, 40, 50, 51}
KEY_FORMATS = {15: "APIKey|SecretKey", 18: "APPID|APISecret|APIKey", 22: "APIKey-AppId", 23: "AppId|SecretId|SecretKey"}
INITIAL = {(3, "api_version"): "2024-03-01-preview", (18, "api_version"): "v2.1"}


@pytest.mark.parametrize("channel_type", range(1, 52))
def test_each_type_has_the_form_of_the_reference(channel_type: int) -> None:
    form = form_of(channel_type)

    assert form.base_url == ADDRESSES[channel_type]
    boxes = [f"{box.name}{'!' * box.required}{'*' * box.secret}" for box in form.boxes]
    assert boxes == [*BOXES.get(channel_type, "base_url").split(), "proxy*"]
    assert bool(form.tip) == (channel_type in TIPPED)
    assert bool(form.notice) == (channel_type in NOTICED)
    assert bool(form.description) == (channel_type in DESCRIBED)
    assert form.key == (channel_type not in (33, 42))  # D28: no box for keys, so none for several either
    assert form.models == (channel_type != 43)
    assert form.key_format.startswith(KEY_FORMATS.get(channel_type, ""))
    assert {(channel_type, box.name): box.initial for box in form.boxes if box.initial} == {
        place: text for place, text in INITIAL.items() if place[0] == channel_type
    }
    assert all(str(box.label) for box in form.boxes)


def test_there_is_a_row_for_each_and_no_other() -> None:
    assert set(ADDRESSES) == set(ORDER) == set(PROVIDERS) == set(range(1, 52))


def test_the_selector_has_every_type_once_each_group_in_the_order_of_the_reference() -> None:
    groups = form_table.groups()

    assert [str(group.label) for group in groups] == [
        "General",
        "International",
        "China",
        "Clouds",
        "Self-hosted",
        "Resellers",
    ]
    listed = [channel_type for group in groups for channel_type, _, _ in group.types]
    assert sorted(listed) == list(range(1, 52))
    for group in groups:
        places = [ORDER.index(channel_type) for channel_type, _, _ in group.types]
        assert places == sorted(places)


def test_the_selector_speaks_the_readers_language() -> None:
    with translation.override("zh-hans"):
        assert (16, "智谱 ChatGLM") in [one[:2] for group in form_table.groups() for one in group.types]
    with translation.override("en"):
        assert (16, "Zhipu") in [one[:2] for group in form_table.groups() for one in group.types]


@pytest.mark.parametrize("mapping", ['["a"]', '{"a": 1}', '{"a": null}', '"a"', "{", "5"])
def test_a_mapping_must_be_an_object_of_texts(mapping: str) -> None:
    with pytest.raises(ChannelInvalid, match="model_mapping"):
        columns_of({"model_mapping": mapping})


def test_several_groups_fit() -> None:
    """D27: they overflowed a column of 32 characters."""
    groups = ",".join(f"group-number-{number}" for number in range(40))
    assert columns_of({"group": groups})["group"] == groups


def test_what_the_boxes_start_with_is_what_may_be_stored() -> None:
    for channel_type in PROVIDERS:
        config = {box.name: box.initial for box in form_of(channel_type).boxes if box.name != "base_url"}
        assert columns_of({"type": channel_type, "config": json.dumps(config)})["type"] == channel_type
