"""Changing members of a JSON object: the rest stays as it was written, and what can be read in two ways is refused."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import weight
from relay import splice
from relay.errors import BadRequest

WHITE = st.text(alphabet=" \t\r\n", max_size=3)
NAMES = st.one_of(
    st.text(alphabet=string.ascii_letters, min_size=1, max_size=5),
    st.text(max_size=4).filter(lambda name: name.encode("utf-8", "ignore").decode() == name),
)
NUMBERS = st.sampled_from(["0", "-0", "1.10", "1e3", "1E-2", "123456789012345678901234567890", "0.1000", "-7"])
TEXTS = st.text(max_size=8, alphabet=st.characters(exclude_categories=["Cs"])).map(json.dumps)
VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.sampled_from(["true", "false", "null", '"\\u0041\\ud83d\\ude00"', '"a\\/b"'])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + " , ".join(items) + "]"),
        st.lists(inner, max_size=2).map(
            lambda items: "{" + ",".join(f'"k{i}": {v}' for i, v in enumerate(items)) + "}"
        ),
    ),
    max_leaves=5,
)


@st.composite
def objects(draw: st.DrawFn) -> tuple[list[tuple[str, str, str]], str]:
    """(members as (name, everything before the value, value), what follows the last one)."""
    names = draw(st.lists(NAMES, max_size=6, unique_by=str.casefold))
    members = []
    for i, name in enumerate(names):
        written = draw(st.sampled_from([json.dumps(name), json.dumps(name, ensure_ascii=False)]))
        before = ("," if i else "") + draw(WHITE) + written + draw(WHITE) + ":" + draw(WHITE)
        members.append((name, before, draw(VALUES) + draw(WHITE)))
    return members, draw(WHITE) if not members else ""


def written(members: list[tuple[str, str, str]], rest: str) -> bytes:
    return ("{" + "".join(before + value for _, before, value in members) + rest + "}").encode()


@given(objects(), st.data())
def test_replace_keeps_every_other_byte(made: tuple[list[tuple[str, str, str]], str], data: st.DataObject) -> None:
    members, rest = made
    body = written(members, rest)
    document = splice.parse(body)
    names = [name for name, _, _ in members]
    changed = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    changes = dict.fromkeys(changed, "new 值")

    after = splice.replace(body, document, changes)

    kept = [
        (name, before, '"new 值"' + value[len(value.rstrip(" \t\r\n")) :] if name in changes else value)
        for name, before, value in members
    ]
    assert after == written(kept, rest)


@given(objects())
def test_a_missing_member_is_put_in_front(made: tuple[list[tuple[str, str, str]], str]) -> None:
    body = written(*made)
    document = splice.parse(body)
    if "absent" in document:
        return

    after = splice.replace(body, document, {"absent": {"include_usage": True}})

    assert json.loads(after) == {"absent": {"include_usage": True}, **json.loads(body)}
    assert after.endswith(body[1:])
    assert next(iter(json.loads(after))) == "absent"


def test_an_empty_object_takes_a_member() -> None:
    assert splice.replace(b" { } ", {}, {"model": "x"}) == b' {"model":"x" } '


def test_present_and_missing_members_at_once() -> None:
    body = b'{"model" : "a", "n": 1.0}'

    after = splice.replace(body, splice.parse(body), {"model": "b", "stream": True})

    assert after == b'{"stream":true,"model" : "b", "n": 1.0}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"dear","model":"cheap"}',
        b'{"model":"dear","Model":"cheap"}',
        b'{"MODEL":"dear","model":"cheap"}',
        b'{"model":"dear","\\u006dodel":"cheap"}',
        b'{"\\u006dodel":"dear","\\u006dodel":"cheap"}',
        b'{"stream":false,"x":"\\"stream\\"","stream":true}',
        '{"stream":false,"ſtream":true}'.encode(),  # folds to an s in readers that ignore case (Go's among them)
        '{"max_to\u212aens":1,"max_tokens":9}'.encode(),  # the Kelvin sign
        b'{"a/b":1,"a\\/b":2}',
    ],
)
def test_a_member_that_can_be_read_twice_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        splice.parse(body)

    assert refused.value.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"x","messages":[{"model":1},{"model":2}]}',
        b'{"model":"model","x":"\\u0041"}',
        b'{"a":"\\"a\\":","b":{"a":1,"a":2}}',
    ],
)
def test_the_same_name_further_down_is_nobodys_business(body: bytes) -> None:
    assert splice.parse(body)["model" if b"model" in body else "a"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"x"', b"null", b"{", b'{"a":}', b"{'a':1}", b'{"a":1}x', b"\xff\xfe", b'{"a":NaN}', b'{"a":1,}'],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        splice.parse(body)


@pytest.mark.parametrize("depth", [300, 500, 990, 1000, 1020, 1023, 1024, 5000, 100_000])
@pytest.mark.parametrize("form", ['{"model":"a","model":"b","x":%s}', '{"model":"\\u0061","x":%s}'])
def test_deep_nesting_is_the_callers_fault_and_no_crash(depth: int, form: str) -> None:
    body = (form % ("[" * depth + "]" * depth)).encode()

    with pytest.raises(BadRequest):
        splice.parse(body)


@pytest.mark.parametrize("depth", [1, 50, 200])
def test_nesting_that_real_schemas_have_is_taken(depth: int) -> None:
    body = ('{"model":"\\u0061","x":%s}' % ("[" * depth + "]" * depth)).encode()

    assert splice.replace(body, splice.parse(body), {"model": "b"}) == body.replace(b'"\\u0061"', b'"b"')


def test_a_lone_surrogate_is_refused_rather_than_changed() -> None:
    with pytest.raises(BadRequest):
        splice.parse(b'{"model":"\\ud800"}')


@given(objects())
def test_members_of_long_bodies_are_found_as_in_short_ones(made: tuple[list[tuple[str, str, str]], str]) -> None:
    members, rest = made
    body = written(members, rest)
    shown = splice.members(body)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(weight, "LIGHT", 0)
        assert splice.members(body) == shown
    assert [(name, json.loads(body[start:end])) for name, start, end in shown] == [
        (name, json.loads(value)) for name, _, value in members
    ]
