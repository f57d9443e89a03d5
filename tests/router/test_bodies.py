"""How the model is found in a body, and what is left of the body."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_router.answering import modelname
from pointsman_router.errors import RefusedError
from pointsman_router.settings import Limits
from tests.router.stack import Stack, configuration, post, service, variant

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"", 400, "invalid_body", None),
        (b"{", 400, "invalid_body", None),
        (b'{"model": "chat"} trailing', 400, "invalid_body", None),
        (b'["model"]', 400, "invalid_body", None),
        (b'"chat"', 400, "invalid_body", None),
        (b"\xef\xbb\xbf{}", 400, "invalid_body", None),
        (b'{"model": NaN}', 400, "invalid_body", None),
        (b"[" * 100_000, 400, "invalid_body", None),
        (b"{}", 400, "missing_required_parameter", "model"),
        (b'{"model": null}', 400, "missing_required_parameter", "model"),
        (b'{"model": ""}', 400, "missing_required_parameter", "model"),
        (b'{"model": 7}', 400, "invalid_type", "model"),
        (b'{"model": ["chat"]}', 400, "invalid_type", "model"),
        (b'{"model": "gpt-4"}', 404, "model_not_found", "model"),
    ],
)
async def test_a_body_without_a_known_model_is_refused(
    stack: Stack, body: bytes, status: int, code: str, param: str | None
) -> None:
    engine = await stack.engine()
    await stack.start()
    client = await stack.client()
    answer = await client.ask(post(CHAT, body))
    assert (answer.status, answer.error["code"], answer.error["param"]) == (status, code, param)
    assert answer.error["type"] == "invalid_request_error"
    assert engine.requests == []
    assert (await client.ask(post(CHAT, {"model": "chat"}))).status == 200, "the connection goes on"


async def test_a_responses_request_that_needs_a_stored_one_is_refused_with_the_reason(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    answer = await stack.ask(post("/v1/responses", {"model": "chat", "previous_response_id": "resp_1"}))
    assert (answer.status, answer.error["param"]) == (400, "previous_response_id")
    assert "replica" in answer.error["message"]
    assert engine.requests == []
    allowed = await stack.ask(post("/v1/responses", {"model": "chat", "previous_response_id": None}))
    assert allowed.status == 200


async def test_an_encoded_body_is_refused(stack: Stack) -> None:
    await stack.engine()
    await stack.start()
    answer = await stack.ask(post(CHAT, b"\x1f\x8b", "Content-Encoding: gzip"))
    assert (answer.status, answer.error["code"]) == (415, "unsupported_encoding")


async def test_bytes_go_verbatim_when_the_engine_uses_the_same_name(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    body = b'{ "model"\t: "chat", "seed": 18446744073709551616, "t": 1.0e0, "x": "\\u00e9", "model": "chat" }'
    assert (await stack.ask(post(CHAT, body))).status == 200
    assert engine.requests[0].body == body


async def test_an_alias_is_replaced_in_place(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start(configuration(service("s", variant("v", engine), names=["alias"], engine_model='m"é')))
    body = b'{"messages": [{"content": "the \\"model\\": \\"alias\\""}], "model" : "alias", "n":1.0}'
    assert (await stack.ask(post(CHAT, body))).status == 200
    expected = body.replace(b'"model" : "alias"', '"model" : "m\\"é"'.encode())
    assert engine.requests[0].body == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a"}', b'{"model":"X"}'),
        (b'{"x":{"model":"a"},"model":"a"}', b'{"x":{"model":"a"},"model":"X"}'),
        (b'{"x":["model",{"model":"a"}],"model":\n"a"}', b'{"x":["model",{"model":"a"}],"model":\n"X"}'),
        (b'{"x":"model","model":"a"}', b'{"x":"model","model":"X"}'),
        (b'{"mod\\u0065l":"a"}', b'{"mod\\u0065l":"X"}'),
        (b'{"model":"b","mod\\u0065l":"a"}', b'{"model":"X","mod\\u0065l":"X"}'),
        (b'{"model":{"model":1},"model":"a"}', b'{"model":{"model":1},"model":"X"}'),
        (b'{"y":"\\\\\\"model\\":","model":"a\\u0062"}', b'{"y":"\\\\\\"model\\":","model":"X"}'),
        (b'{"model":"a","y":"}{[\\\\"}', b'{"model":"X","y":"}{[\\\\"}'),
    ],
)
def test_only_the_objects_own_member_is_replaced(body: bytes, expected: bytes) -> None:
    assert modelname.replace_in_json(body, "X") == expected


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("model"), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _JSON), st.text(min_size=1), st.text(min_size=1), st.booleans())
def test_replacing_changes_nothing_else(
    document: dict[str, Any], old: str, new: str, ascii_only: bool
) -> None:
    document["model"] = old
    try:
        body = json.dumps(document, ensure_ascii=ascii_only).encode()
        new.encode()
        modelname.read_json(body, Limits())
    except (UnicodeEncodeError, RefusedError):
        return  # lone surrogates are not JSON
    replaced = json.loads(modelname.replace_in_json(body, new))
    assert replaced == {**document, "model": new}


def _form(*parts: tuple[str, bytes], boundary: bytes = b"b") -> bytes:
    return (
        b"".join(b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, head.encode(), content) for head, content in parts)
        + b"--%b--\r\n" % boundary
    )


_FILE = (
    'Content-Disposition: form-data; name="file"; filename="a; name=\\"model\\".wav"',
    b"\r\n--c\r\n\x00model\xff",
)
_MODEL = ('Content-Disposition: form-data; name="model"', b"alias")


@pytest.mark.parametrize(
    ("content_type", "parts"),
    [
        ("multipart/form-data; boundary=b", (_MODEL, _FILE)),
        ("multipart/form-data; boundary=b", (_FILE, _MODEL)),
        ('Multipart/Form-Data; charset=utf-8; boundary="b"', (_FILE, _MODEL)),
        (
            "multipart/form-data; boundary=b",
            (("content-disposition:form-data;name=model\r\nX: y", b"alias"), _FILE),
        ),
    ],
)
async def test_a_forms_model_is_found_and_replaced(
    stack: Stack, content_type: str, parts: tuple[tuple[str, bytes], ...]
) -> None:
    engine = await stack.engine()
    await stack.start(
        configuration(service("s", variant("v", engine), names=["alias"], engine_model="whisper"))
    )
    body = _form(*parts)
    answer = await stack.ask(post("/v1/audio/transcriptions", body, f"Content-Type: {content_type}"))
    assert answer.status == 200
    assert engine.requests[0].body == body.replace(b"\r\n\r\nalias\r\n", b"\r\n\r\nwhisper\r\n")


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/json", b'{"model":"chat"}', "invalid_body"),
        ("multipart/form-data", _form(_MODEL), "invalid_body"),
        ("multipart/form-data; boundary=other", _form(_MODEL), "invalid_body"),
        ("multipart/form-data; boundary=b", b"", "invalid_body"),
        ("multipart/form-data; boundary=b", _form(_MODEL)[:-6], "invalid_body"),
        ("multipart/form-data; boundary=b", _form(_MODEL, _MODEL), "invalid_body"),
        ("multipart/form-data; boundary=b", _form(("X: y", b"alias")), "invalid_body"),
        (
            "multipart/form-data; boundary=b",
            _form(('Content-Disposition: form-data; name="model"; name="file"', b"alias")),
            "invalid_body",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n--b--',
            "invalid_body",
        ),
        ("multipart/form-data; boundary=b", _form((_MODEL[0], b"\xff\xfe")), "invalid_body"),
        ("multipart/form-data; boundary=b", _form(_FILE), "missing_required_parameter"),
        ("multipart/form-data; boundary=b", _form((_MODEL[0], b"")), "missing_required_parameter"),
        ("multipart/form-data; boundary=b", _form((_MODEL[0], b"nope")), "model_not_found"),
    ],
)
async def test_a_form_that_names_no_one_model_is_refused(
    stack: Stack, content_type: str, body: bytes, code: str
) -> None:
    engine = await stack.engine()
    await stack.start()
    answer = await stack.ask(post("/v1/audio/translations", body, f"Content-Type: {content_type}"))
    assert (answer.status // 100, answer.error["code"]) == (4, code)
    assert engine.requests == []
